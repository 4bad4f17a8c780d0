package registry

import "fmt"

// Kind is the kind of a column's type: Iceberg's primitive types as far as DMS
// can fill them (Iceberg spec, "Primitive Types").
type Kind uint8

// The kinds; the zero value is none of them.
const (
	Boolean Kind = iota + 1
	Int
	Long
	Float
	Double
	Decimal
	Date
	Timestamp   // without zone, microseconds
	TimestampTZ // an instant, microseconds, UTC
	String
	Binary
)

// Type is a column's type.
type Type struct {
	Kind      Kind
	Precision int // of a decimal: 1 to 38
	Scale     int // of a decimal: 0 to Precision
}

var kindNames = map[Kind]string{
	Boolean: "boolean", Int: "int", Long: "long", Float: "float", Double: "double",
	Decimal: "decimal", Date: "date", Timestamp: "timestamp", TimestampTZ: "timestamptz",
	String: "string", Binary: "binary",
}

// String gives the type's Iceberg name, such as "long" or "decimal(10, 2)".
func (t Type) String() string {
	if t.Kind == Decimal {
		return fmt.Sprintf("decimal(%d, %d)", t.Precision, t.Scale)
	}
	if name, ok := kindNames[t.Kind]; ok {
		return name
	}
	return "unknown"
}
