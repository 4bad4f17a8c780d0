package lake

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"testing"

	"github.com/apache/iceberg-go/table"
	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

func kindOf(k registry.Kind) registry.Type { return registry.Type{Kind: k} }

func TestFormatValue(t *testing.T) {
	dec := func(p, s int) registry.Type { return registry.Type{Kind: registry.Decimal, Precision: p, Scale: s} }
	tests := []struct {
		typ  registry.Type
		v    parquet.Value
		want string
	}{
		{kindOf(registry.Boolean), parquet.BooleanValue(true), "true"},
		{kindOf(registry.Int), parquet.Int32Value(-7), "-7"},
		{kindOf(registry.Long), parquet.Int64Value(1 << 40), "1099511627776"},
		{kindOf(registry.Float), parquet.FloatValue(0.1), "0.1"},
		{kindOf(registry.Double), parquet.DoubleValue(1e21), "1e+21"},
		{kindOf(registry.Double), parquet.DoubleValue(-77.04), "-77.04"},
		{kindOf(registry.Double), parquet.DoubleValue(math.Inf(-1)), "-Infinity"},
		{kindOf(registry.Double), parquet.DoubleValue(math.NaN()), "NaN"},
		{dec(9, 2), parquet.Int32Value(-5), "-0.05"},
		{dec(18, 0), parquet.Int64Value(12), "12"},
		{dec(20, 3), parquet.FixedLenByteArrayValue([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb, 0x2e}), "-1.234"},
		{kindOf(registry.Date), parquet.Int32Value(-1), "1969-12-31"},
		{kindOf(registry.Date), parquet.Int32Value(2932896), "9999-12-31"},
		{kindOf(registry.Timestamp), parquet.Int64Value(-1), "1969-12-31 23:59:59.999999"},
		{kindOf(registry.TimestampTZ), parquet.Int64Value(0), "1970-01-01 00:00:00.000000+00:00"},
		{kindOf(registry.String), parquet.ByteArrayValue([]byte("a,b")), "a,b"},
		{kindOf(registry.Binary), parquet.ByteArrayValue([]byte{0, 0xAB}), "00ab"},
		{kindOf(registry.String), parquet.NullValue(), ""},
	}
	for _, tt := range tests {
		if got := FormatValue(tt.typ, tt.v); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.typ, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{"reports": "reports", "case notes+2024": "case.20notes.2B2024", "a.b": "a.2Eb", "..": ".2E.2E", "Ä": ".C3.84"} {
		if got := folderName(name); got != want {
			t.Errorf("folder of %q is %q, want %q", name, got, want)
		}
	}
	seen := map[string]string{}
	for _, name := range []string{"a/b", "a.2Fb", "a.2fb", "a\x00b", "a b", ".", "..", ".2E", "a.b"} {
		got := Identifier(dms.TableID{DB: "d", Table: name})[1]
		if was, ok := seen[got]; ok {
			t.Errorf("%q and %q are both %q", name, was, got)
		}
		seen[got] = name
	}
	if seen["a b"] != "a b" || seen["a.b"] != "a.b" {
		t.Errorf("plain names changed: %v", seen)
	}
}

// TestStaleCommit pins the only place where iceberg-go's text is read.
func TestStaleCommit(t *testing.T) {
	id := int64(7)
	meta, err := table.NewMetadata(createSchema(registry.Table{Columns: []registry.Column{{ID: 1, Name: "a", Type: kindOf(registry.Long)}},
		Provenance: registry.Provenance{File: 2, Row: 3, Position: 4}}), nil, table.UnsortedSortOrder, "file:///x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.AssertRefSnapshotID("main", &id).Validate(meta); !IsStaleCommit(err) {
		t.Errorf("a failed snapshot requirement is %v", err)
	}
	if err := table.AssertCurrentSchemaID(99).Validate(meta); !IsStaleCommit(err) {
		t.Errorf("a failed schema requirement is %v", err)
	}
	if !IsStaleCommit(fmt.Errorf("x: %w", table.ErrCommitFailed)) || IsStaleCommit(errors.New("disk full")) || IsStaleCommit(nil) {
		t.Error("other errors are told wrongly")
	}
}

func TestLocations(t *testing.T) {
	bucket, err := local.New("b", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewIO(bucket, "file:///data/my lake/curated/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	for _, location := range []string{o.URI("t/x"), "file:/data/my lake/curated/t/x", "file:///data/my%20lake/curated/t/x"} {
		if key, err := o.Key(location); err != nil || key != "t/x" {
			t.Errorf("%s is %q, %v", location, key, err)
		}
	}
	for _, location := range []string{"file:///data/other/t", "s3://b/t", "file:///data/my lake/curated"} {
		if key, err := o.Key(location); err == nil {
			t.Errorf("%s is %q", location, key)
		}
	}
	escaped, err := NewIO(bucket, "file:///data/my%20lake")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = escaped.Close() }()
	if key, err := escaped.Key("file:/data/my lake/t/x"); err != nil || key != "t/x" {
		t.Errorf("under an escaped base: %q, %v", key, err)
	}
	if _, err := NewIO(bucket, "/no/scheme"); err == nil {
		t.Error("a path was taken for a URI")
	}
	if _, err := o.Open(o.URI("nothing")); err == nil {
		t.Error("a missing object was opened")
	}
	if err := o.WriteFile(o.URI("a/b"), []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if data, err := o.ReadFile(o.URI("a/b")); err != nil || string(data) != "hello" {
		t.Fatalf("read %q, %v", data, err)
	}
	if err := o.Remove(o.URI("a/b")); err != nil {
		t.Fatal(err)
	}
}

// TestBounds checks the forms of the Iceberg spec, appendix D.
func TestBounds(t *testing.T) {
	long := bytes.Repeat([]byte("é"), 20)
	top := []byte("\U0010FFFF")
	tests := []struct {
		typ    registry.Type
		v      parquet.Value
		lo, hi []byte
	}{
		{kindOf(registry.Int), parquet.Int32Value(-2), []byte{0xfe, 0xff, 0xff, 0xff}, []byte{0xfe, 0xff, 0xff, 0xff}},
		{registry.Type{Kind: registry.Decimal, Precision: 9, Scale: 2}, parquet.Int32Value(-150), []byte{0xff, 0x6a}, []byte{0xff, 0x6a}},
		{registry.Type{Kind: registry.Decimal, Precision: 18}, parquet.Int64Value(128), []byte{0, 0x80}, []byte{0, 0x80}},
		{kindOf(registry.String), parquet.ByteArrayValue(long), long[:32], append(bytes.Repeat([]byte("é"), 15), "ê"...)},
		{kindOf(registry.String), parquet.ByteArrayValue(bytes.Repeat(top, 17)), bytes.Repeat(top, 16), nil},
		{kindOf(registry.Binary), parquet.ByteArrayValue(bytes.Repeat([]byte{0xff}, 17)), bytes.Repeat([]byte{0xff}, 16), nil},
		{kindOf(registry.Double), parquet.DoubleValue(0), []byte{0, 0, 0, 0, 0, 0, 0, 0x80}, make([]byte, 8)},
	}
	for _, tt := range tests {
		lo, hi, ok := icebergBounds(tt.typ, tt.v, tt.v)
		if !ok || !bytes.Equal(lo, tt.lo) || !bytes.Equal(hi, tt.hi) {
			t.Errorf("%s: %x %x, want %x %x", tt.typ, lo, hi, tt.lo, tt.hi)
		}
	}
}

// TestBoundsPrune: a key within a file is always found to overlap with it.
func TestBoundsPrune(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		typ := rapid.SampledFrom([]registry.Type{kindOf(registry.String), kindOf(registry.Long), {Kind: registry.Decimal, Precision: 30}, kindOf(registry.Binary)}).Draw(rt, "type")
		draw := func(name string) parquet.Value {
			n := rapid.Int64Range(-300, 300).Draw(rt, name)
			switch typ.Kind {
			case registry.Long:
				return parquet.Int64Value(n)
			case registry.Decimal:
				return parquet.FixedLenByteArrayValue(widen(parquet.Int64Value(n), decimalWidth(30)))
			}
			return parquet.ByteArrayValue([]byte(rapid.StringMatching(`(\x{10FFFF}|a|é){0,20}`).Draw(rt, name+" text")))
		}
		a, b, c := draw("a"), draw("b"), draw("c")
		if compareValues(typ, a, c) > 0 {
			a, c = c, a
		}
		lo, hi, ok := icebergBounds(typ, a, c)
		if !ok {
			rt.Fatal("no bounds")
		}
		f := &dataFile{}
		f.low, _ = encodeBound(typ, lo)
		if hi != nil {
			f.high, _ = encodeBound(typ, hi)
		}
		key, err := transform.EncodeKey(nil, []registry.Type{typ, kindOf(registry.Long)}, []parquet.Value{b, parquet.Int64Value(3)})
		if err != nil {
			rt.Fatal(err)
		}
		inside := compareValues(typ, a, b) <= 0 && compareValues(typ, b, c) <= 0
		if inside && !f.overlaps(key, key) {
			rt.Fatalf("%v lies between %v and %v, and is pruned", b, a, c)
		}
	})
}

func TestDecimalWidths(t *testing.T) {
	for p, want := range map[int]int{1: 1, 9: 4, 18: 8, 19: 9, 20: 9, 28: 12, 38: 16} {
		if got := decimalWidth(p); got != want {
			t.Errorf("precision %d takes %d bytes, want %d", p, got, want)
		}
	}
	for p := 19; p <= 38; p++ {
		schema := transform.RowsSchema([]registry.Column{{ID: 1, Name: "d", Type: registry.Type{Kind: registry.Decimal, Precision: p}}}, registry.Provenance{File: 2, Row: 3, Position: 4})
		if got := schema.Fields()[0].Type().Length(); got != decimalWidth(p) {
			t.Errorf("precision %d: staged files have %d bytes, here %d", p, got, decimalWidth(p))
		}
	}
}

// TestWhatIsGone: only what lies in the warehouse is a part of a table.
func TestWhatIsGone(t *testing.T) {
	o := &IO{base: "file:///data/curated"}
	for path, want := range map[string]bool{
		"file:///data/curated/rms/reports/data/a.parquet": true, "/data/curated/rms/reports/metadata/1.json": true,
		"/tmp/blotter-merge-1": false, "/data/curated-other/a": false,
	} {
		err := o.gone(fmt.Errorf("read: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}))
		if damaged := (*DamagedError)(nil); errors.As(err, &damaged) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}
