package registry

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestParseType(t *testing.T) {
	dec := func(p, s int) Type { return Type{Kind: Decimal, Precision: p, Scale: s} }
	of := func(k Kind) Type { return Type{Kind: k} }
	tests := map[string]Type{
		"bigint": of(Long), "int": of(Int), "integer": of(Int), "smallint": of(Int), "tinyint": of(Int), "int(11)": of(Int), "BIGINT": of(Long),
		"int unsigned": of(Long), "int(10) unsigned": of(Long), "bigint unsigned": dec(20, 0), "bigint(20) unsigned": dec(20, 0), "long": of(Long),
		"varchar(40)": of(String), "char(3)": of(String), "text": of(String), "character varying (255)": of(String), "nvarchar(max)": of(String), "string": of(String),
		"numeric(10,2)": dec(10, 2), "decimal(10, 2)": dec(10, 2), "decimal( 10 , 2 )": dec(10, 2), "decimal(5)": dec(5, 0), "numeric": dec(28, 6), "decimal": dec(28, 6),
		"numeric(38,38)": dec(38, 38), "numeric(39,2)": of(String), "numeric(1000)": of(String),
		"real": of(Float), "float": of(Float), "float(24)": of(Float), "float(53)": of(Double), "double": of(Double), "double precision": of(Double), "Double  Precision": of(Double),
		"boolean": of(Boolean), "bool": of(Boolean), "bit": of(Boolean), "bit(1)": of(Boolean),
		"date": of(Date), "timestamp": of(Timestamp), "timestamp(6)": of(Timestamp), "datetime": of(Timestamp), "datetime2(7)": of(Timestamp), "timestamp without time zone": of(Timestamp),
		"timestamptz": of(TimestampTZ), "timestamp with time zone": of(TimestampTZ), "timestamp(3) with time zone": of(TimestampTZ), "datetimeoffset(7)": of(TimestampTZ),
		"time": of(String), "time(6)": of(String), "uuid": of(String), "json": of(String), "jsonb": of(String), "clob": of(String),
		"binary": of(Binary), "varbinary(16)": of(Binary), "bytea": of(Binary), "blob": of(Binary),
	}
	for s, want := range tests {
		if got, err := ParseType(s); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "strings", "varchar(40", "varchar 40)", "numeric(10", "numeric(10,)", "numeric(0)", "numeric(2,3)", "numeric(10,-2)", "varchar(1,2)", "bit(8)", "float(54)", "bigint not null", "unknown", "int[]", "timestamp with", "numeric(99999999999999999999)"} {
		if got, err := ParseType(s); err == nil {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func anyType() *rapid.Generator[Type] {
	return rapid.Custom(func(t *rapid.T) Type {
		kind := Kind(rapid.IntRange(int(Boolean), int(Binary)).Draw(t, "kind"))
		if kind != Decimal {
			return Type{Kind: kind}
		}
		p := rapid.IntRange(1, 38).Draw(t, "precision")
		return Type{Kind: kind, Precision: p, Scale: rapid.IntRange(0, p).Draw(t, "scale")}
	})
}

func TestTypeAsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := anyType().Draw(t, "type")
		data, err := json.Marshal(typ)
		if err != nil || string(data) != `"`+typ.String()+`"` {
			t.Fatalf("%s, %v", data, err)
		}
		var back Type
		if err := json.Unmarshal(data, &back); err != nil || back != typ {
			t.Fatalf("%v came back as %v, %v", typ, back, err)
		}
	})
	if _, err := json.Marshal(Type{}); err == nil {
		t.Error("a type that is not set was written")
	}
}

func TestPromotesTo(t *testing.T) {
	ok := [][2]string{{"int", "long"}, {"float", "double"}, {"decimal(10,2)", "decimal(12,2)"}, {"string", "string"}, {"decimal(5,1)", "decimal(5,1)"}}
	no := [][2]string{{"long", "int"}, {"double", "float"}, {"decimal(10,2)", "decimal(9,2)"}, {"decimal(10,2)", "decimal(12,3)"}, {"int", "string"}, {"int", "double"}, {"date", "timestamp"}, {"timestamp", "timestamptz"}, {"int", "decimal(10,0)"}}
	for want, pairs := range map[bool][][2]string{true: ok, false: no} {
		for _, p := range pairs {
			from, err1 := ParseType(p[0])
			to, err2 := ParseType(p[1])
			if err1 != nil || err2 != nil || from.PromotesTo(to) != want {
				t.Errorf("%s to %s: want %v", p[0], p[1], want)
			}
		}
	}
}

func FuzzParseType(f *testing.F) {
	for _, s := range []string{"bigint", "numeric(10,2)", "timestamp(6) with time zone", "varchar(max)", "decimal(", "((((", "a b c d e f g"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := ParseType(s)
		if err != nil {
			return
		}
		if back, err := ParseType(typ.String()); err != nil || back != typ {
			t.Fatalf("%q is %v, which is read as %v, %v", s, typ, back, err)
		}
	})
}
