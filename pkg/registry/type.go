package registry

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

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

// MarshalText gives what String gives.
func (t Type) MarshalText() ([]byte, error) {
	if kindNames[t.Kind] == "" {
		return nil, errors.New("encode a column type: the type is not set")
	}
	return []byte(t.String()), nil
}

// UnmarshalText reads what MarshalText gives, and any name that ParseType knows.
func (t *Type) UnmarshalText(text []byte) error {
	parsed, err := ParseType(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// PromotesTo reports whether Iceberg lets a column of type t become one of type
// to, with the data there is: the same type, int to long, float to double, or a
// decimal of more precision and the same scale.
func (t Type) PromotesTo(to Type) bool {
	switch {
	case t == to:
		return true
	case t.Kind == Int:
		return to.Kind == Long
	case t.Kind == Float:
		return to.Kind == Double
	case t.Kind == Decimal:
		return to.Kind == Decimal && to.Precision >= t.Precision && to.Scale == t.Scale
	}
	return false
}

// The decimal that DMS makes of a NUMERIC without precision, and the largest
// precision that a decimal can have.
const (
	unscaledPrecision = 28
	unscaledScale     = 6
	maxPrecision      = 38
)

// typeNames holds every name of a type, without its arguments. Sizes in bytes or
// characters do not matter to Iceberg.
var typeNames = func() map[string]Type {
	names := map[string]Type{}
	for kind, list := range map[Kind]string{
		Boolean:     "boolean bool bit",
		Int:         "int integer smallint tinyint mediumint int1 int2 int4 smallserial serial smallint_unsigned tinyint_unsigned mediumint_unsigned",
		Long:        "bigint long int8 bigserial int_unsigned integer_unsigned",
		Float:       "real float float4",
		Double:      "double double_precision float8",
		Date:        "date",
		Timestamp:   "timestamp timestamp_without_time_zone datetime datetime2 smalldatetime",
		TimestampTZ: "timestamptz timestamp_with_time_zone datetimeoffset",
		String: "string text varchar char character character_varying varchar2 nvarchar nvarchar2 nchar ntext bpchar tinytext mediumtext longtext " +
			"clob nclob json jsonb xml uuid uniqueidentifier time time_without_time_zone timetz time_with_time_zone interval enum",
		Binary: "binary varbinary bytea blob tinyblob mediumblob longblob image raw",
	} {
		for name := range strings.FieldsSeq(list) {
			names[strings.ReplaceAll(name, "_", " ")] = Type{Kind: kind}
		}
	}
	names["bigint unsigned"] = Type{Kind: Decimal, Precision: 20}
	for _, name := range []string{"decimal", "numeric", "dec", "number"} {
		names[name] = Type{Kind: Decimal, Precision: unscaledPrecision, Scale: unscaledScale}
	}
	return names
}()

// typeSyntax divides "timestamp(6) with time zone" into name, arguments, rest.
var typeSyntax = regexp.MustCompile(`^([a-z][a-z0-9 ]*?) ?(?:\( ?([0-9]+|max) ?(?:, ?([0-9]+) ?)?\))?((?: [a-z ]+)?)$`)

// ParseType reads the name of a type, as SQL or Iceberg spell it, without regard
// to case. What no Iceberg type can hold becomes a string, as DMS writes it: time
// of day, UUID, JSON, decimals of more than 38 digits. A decimal without
// precision is decimal(28, 6), as in DMS.
func ParseType(s string) (Type, error) {
	unknown := fmt.Errorf("type %q is not known: expected an SQL type such as bigint, varchar(40), numeric(10, 2), timestamp or bytea, or an Iceberg type", s)
	m := typeSyntax.FindStringSubmatch(strings.Join(strings.Fields(strings.ToLower(s)), " "))
	if m == nil {
		return Type{}, unknown
	}
	t, ok := typeNames[m[1]+m[4]]
	if !ok {
		return Type{}, unknown
	}
	first, second := m[2], m[3]
	switch {
	case t.Kind == Decimal && m[1] != "bigint" && first != "":
		return decimalType(s, first, second)
	case second != "":
		return Type{}, fmt.Errorf("type %q: only a decimal has a scale", s)
	case m[1] == "float" && first != "":
		if bits, err := strconv.Atoi(first); err != nil || bits > 53 {
			return Type{}, fmt.Errorf("type %q: float has 1 to 53 bits", s)
		} else if bits > 24 {
			t.Kind = Double
		}
	case m[1] == "bit" && first != "" && first != "1":
		return Type{}, fmt.Errorf("type %q: only a single bit is a boolean; register the column as string", s)
	}
	return t, nil
}

func decimalType(s, precision, scale string) (Type, error) {
	p, err := strconv.Atoi(precision)
	if err != nil {
		return Type{}, fmt.Errorf("type %q: the precision is no number", s)
	}
	d := 0
	if scale != "" {
		if d, err = strconv.Atoi(scale); err != nil {
			return Type{}, fmt.Errorf("type %q: the scale is no number", s)
		}
	}
	switch {
	case p < 1 || d > p:
		return Type{}, fmt.Errorf("type %q: a decimal has a precision of at least 1, and a scale of no more than that", s)
	case p > maxPrecision:
		return Type{Kind: String}, nil
	}
	return Type{Kind: Decimal, Precision: p, Scale: d}, nil
}
