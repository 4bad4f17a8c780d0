package transform

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

const parquetKey = "dms/rms/evidence/20240115-070100000.parquet"

// parquetColumn is a column of a file made for a test.
type parquetColumn struct {
	name string
	node parquet.Node
}

// parquetFile writes rows; nil is null.
func parquetFile(t testing.TB, columns []parquetColumn, rows ...[]any) string {
	t.Helper()
	root := orderedGroup{Group: parquet.Group{}}
	for _, c := range columns {
		node := parquet.Optional(c.node)
		root.Group[c.name] = node
		root.fields = append(root.fields, orderedField{Node: node, name: c.name})
	}
	var buf bytes.Buffer
	w := parquet.NewWriter(&buf, parquet.NewSchema("schema", root))
	for _, row := range rows {
		values := make(parquet.Row, len(row))
		for i, v := range row {
			values[i] = parquet.ValueOf(v).Level(0, 1, i)
			if v == nil {
				values[i] = parquet.NullValue().Level(0, 0, i)
			}
			if b, ok := v.([]byte); ok && columns[i].node.Type().Kind() == parquet.FixedLenByteArray {
				values[i] = parquet.FixedLenByteArrayValue(b).Level(0, 1, i)
			}
		}
		if _, err := w.WriteRows([]parquet.Row{values}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func parquetTable(typ string) registry.Table {
	return registry.Table{
		ID: dms.TableID{DB: "rms", Table: "evidence"}, Version: 1, PrimaryKey: []string{"id"},
		DMS: registry.Settings{Format: registry.FormatParquet, OpColumn: ptr("Op"), TimestampColumn: ptr("ts")},
		Columns: []registry.Column{column(1, "id", "bigint"),
			column(2, "v", typ)},
		Provenance: registry.Provenance{File: 3, Row: 4, Position: 5, Next: 6},
	}
}

func parquetColumns(v parquet.Node) []parquetColumn {
	return []parquetColumn{{"ts", parquet.String()}, {"OP", parquet.String()}, {"id", parquet.Int(64)}, {"V", v}}
}

func TestParquetChanges(t *testing.T) {
	b := newBench(t, parquetTable("string"))
	f := b.put(parquetKey, parquetFile(t, parquetColumns(parquet.String()),
		[]any{"2024-01-15 07:00:01.000001", "U", int64(2), "later"},
		[]any{"2024-01-15 07:00:01.000000", "I", int64(2), "earlier"},
		[]any{"2024-01-15 07:00:00.000000", "D", int64(1), nil},
		[]any{"2024-01-15 07:00:00.000000", "I", int64(3), nil},
	))
	r := b.mustRun(f)
	if got, want := b.stagedRows(r.Manifest.Rows), []string{"2|later|#1", `3|\N|#4`}; !slices.Equal(got, want) {
		t.Errorf("rows are %q, want %q", got, want)
	}
	if got, want := b.stagedRows(r.Manifest.Deletes), []string{"1|#3"}; !slices.Equal(got, want) {
		t.Errorf("deletes are %q, want %q", got, want)
	}
	if r.Manifest.Input.SHA256 != f.Object.ETag || r.Manifest.Input.Bytes != f.Object.Size {
		t.Errorf("input is %+v", r.Manifest.Input)
	}
}

func TestParquetValues(t *testing.T) {
	fixed := func(precision, scale, width int) parquet.Node {
		return parquet.Decimal(scale, precision, parquet.FixedLenByteArrayType(width))
	}
	plain := parquet.Leaf(parquet.ByteArrayType)
	uuid := []byte{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	int96 := func(day uint32, nanos uint64) deprecated.Int96 {
		return deprecated.Int96{uint32(nanos), uint32(nanos >> 32), day}
	}
	millis, nanos := parquet.Timestamp(parquet.Millisecond), parquet.Timestamp(parquet.Nanosecond)
	type value struct {
		name string
		node parquet.Node
		in   any
		typ  string
		want string // empty: refused
		code string
	}
	tests := []value{
		{"int to bigint", parquet.Int(32), int32(12), "bigint", "12", ""},
		{"bigint widens int", parquet.Int(64), int64(3_000_000_000), "int", "3000000000", ""},
		{"decimal too large for int", fixed(28, 0, 12), append(make([]byte, 7), 1, 0, 0, 0, 0), "int", "", CodeInteger},
		{"smallint", parquet.Int(16), int32(-7), "int", "-7", ""},
		{"int to decimal", parquet.Int(32), int32(-7), "decimal(5,2)", "-700", ""},
		{"decimal", fixed(15, 2, 7), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x9c}, "decimal(15,2)", "-100", ""},
		{"long decimal", fixed(38, 4, 16), append(make([]byte, 14), 0x27, 0x10), "decimal(38,4)", strings.Repeat("0", 28) + "2710", ""},
		{"decimal to fewer decimals", fixed(10, 2, 5), []byte{0, 0, 0, 0, 150}, "decimal(10,1)", "15", ""},
		{"decimal would be rounded", fixed(10, 2, 5), []byte{0, 0, 0, 0, 151}, "decimal(10,1)", "", CodeDecimal},
		{"decimal of no bytes", parquet.Decimal(2, 10, parquet.ByteArrayType), []byte{}, "decimal(10,2)", "", CodeDecimal},
		{"decimal of many bytes of its sign", parquet.Decimal(2, 10, parquet.ByteArrayType), append(bytes.Repeat([]byte{0xff}, 1<<20), 0x38), "decimal(10,2)", "-200", ""},
		{"decimal of many bytes", parquet.Decimal(0, 38, parquet.ByteArrayType), bytes.Repeat([]byte{0x77}, 4<<20), "decimal(38,0)", "", CodeDecimal},
		{"decimal of a negative scale", parquet.Decimal(-2, 9, parquet.Int32Type), int32(5), "decimal(10,0)", "", CodeColumnType},
		{"decimal of a scale beyond its precision", parquet.Decimal(10, 9, parquet.Int32Type), int32(5), "decimal(10,0)", "", CodeColumnType},
		{"decimal to bigint", fixed(28, 6, 12), append(make([]byte, 9), 0x0f, 0x42, 0x40), "bigint", "1", ""},
		{"short decimal", parquet.Decimal(2, 9, parquet.Int32Type), int32(150), "decimal(9,2)", "150", ""},
		{"boolean", parquet.Leaf(parquet.BooleanType), true, "boolean", "true", ""},
		{"float to double", parquet.Leaf(parquet.FloatType), float32(0.5), "double", "0.5", ""},
		{"double widens float", parquet.Leaf(parquet.DoubleType), 0.1, "real", "0.1", ""},
		{"decimal widens", fixed(12, 2, 6), []byte{0, 0x17, 0x48, 0x76, 0xe7, 0xff}, "decimal(10,2)", "99999999999", ""},
		{"nan", parquet.Leaf(parquet.DoubleType), math.NaN(), "real", "NaN", ""},
		{"date", parquet.Date(), int32(-1), "date", "-1", ""},
		{"date out of range", parquet.Date(), int32(2932897), "date", "", CodeDate},
		{"millis", millis, int64(-1), "timestamp", "-1000", ""},
		{"millis out of range", millis, int64(math.MaxInt64), "timestamp", "", CodeTimestamp},
		{"millis of 9999", millis, int64(253402300799999), "timestamptz", "253402300799999000", ""},
		{"nanos", nanos, int64(-2000), "timestamptz", "-2", ""},
		{"nanos would be rounded", nanos, int64(-2001), "timestamptz", "", CodeTimestamp},
		{"timestamp as text", parquet.String(), "2024-03-10 01:30:00-05", "timestamptz", micros("2024-03-10 06:30:00"), ""},
		{"bytes", plain, []byte{0, 0xff}, "binary", "\x00\xff", ""},
		{"bytes as text", plain, []byte("é"), "string", "é", ""},
		{"bytes no text", plain, []byte{0xff}, "string", "", CodeText},
		{"json", parquet.JSON(), []byte(`{"a":1}`), "string", `{"a":1}`, ""},
		{"text as boolean", parquet.String(), "maybe", "boolean", "", CodeBoolean},
		{"text in binary", parquet.String(), "00", "binary", "", CodeColumnType},
		{"bigint in string", parquet.Int(64), int64(1), "string", "", CodeColumnType},
		{"date in timestamp", parquet.Date(), int32(-1), "timestamp", "-86400000000", ""},
		{"date out of range in timestamp", parquet.Date(), int32(2932897), "timestamp", "", CodeTimestamp},
		{"midnight in date", millis, int64(-86_400_000), "date", "-1", ""},
		{"time of day in date", millis, int64(-86_400_001), "date", "", CodeDate},
		{"int96", parquet.Leaf(parquet.Int96Type), int96(2_440_587, 86_399_999_999_000), "timestamp", "-1", ""},
		{"int96 of year 1", parquet.Leaf(parquet.Int96Type), int96(1_721_426, 0), "timestamptz", micros("0001-01-01 00:00:00"), ""},
		{"int96 before year 1", parquet.Leaf(parquet.Int96Type), int96(1_721_425, 0), "timestamp", "", CodeTimestamp},
		{"int96 would be rounded", parquet.Leaf(parquet.Int96Type), int96(2_440_588, 1), "timestamp", "", CodeTimestamp},
		{"int96 beyond its day", parquet.Leaf(parquet.Int96Type), int96(2_440_588, 86_400_000_000_000), "timestamp", "", CodeTimestamp},
		{"time of day", parquet.Time(parquet.Microsecond), int64(28_800_000_000), "string", "08:00:00", ""},
		{"time of day in millis", parquet.Time(parquet.Millisecond), int32(86_399_990), "string", "23:59:59.99", ""},
		{"time of day beyond midnight", parquet.Time(parquet.Microsecond), int64(86_400_000_000), "string", "", CodeText},
		{"time of day as number", parquet.Time(parquet.Microsecond), int64(1), "bigint", "", CodeColumnType},
		{"unsigned bigint", parquet.Uint(64), uint64(math.MaxUint64), "bigint unsigned", "00ffffffffffffffff", ""},
		{"unsigned bigint in bigint", parquet.Uint(64), uint64(math.MaxInt64), "bigint", "9223372036854775807", ""},
		{"unsigned bigint too large", parquet.Uint(64), uint64(math.MaxInt64) + 1, "bigint", "", CodeInteger},
		{"unsigned int widens int", parquet.Uint(32), uint32(math.MaxUint32), "int", "4294967295", ""},
		{"unsigned smallint", parquet.Uint(16), uint32(65535), "int", "65535", ""},
		{"number as boolean", parquet.Int(32), int32(1), "boolean", "true", ""},
		{"number as no boolean", parquet.Int(32), int32(2), "boolean", "", CodeBoolean},
		{"uuid", parquet.UUID(), uuid, "string", "00112233-4455-6677-8899-aabbccddeeff", ""},
		{"uuid in binary", parquet.UUID(), uuid, "binary", string(uuid), ""},
		{"bson", parquet.BSON(), []byte{0}, "binary", "", CodeColumnType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, parquetTable(tt.typ))
			f := b.put(parquetKey, parquetFile(t, parquetColumns(tt.node), []any{"2024-01-15 07:00:00", "I", int64(1), tt.in}))
			if tt.code != "" {
				if failure := b.refused(f); failure.Code != tt.code || !sameName(failure.Column, "v") {
					t.Errorf("refused with %+v", failure)
				}
				return
			}
			r := b.mustRun(f)
			if got, want := b.stagedRows(r.Manifest.Rows), []string{"1|" + tt.want + "|#1"}; !slices.Equal(got, want) {
				t.Errorf("rows are %q, want %q", got, want)
			}
		})
	}
}

// TestBeforeImageOfAnotherType: the old key of a moved row has the type of the
// key, or the file is refused: a key that was read wrongly would be deleted.
func TestBeforeImageOfAnotherType(t *testing.T) {
	file := func(key, before parquet.Node, id, old any) string {
		return parquetFile(t, []parquetColumn{{"ts", parquet.String()}, {"Op", parquet.String()}, {"id", key}, {"v", parquet.String()}, {"before_id", before}},
			[]any{"2024-01-15 07:00:00", "U", id, "x", old})
	}
	double, boolean, text := parquet.Leaf(parquet.DoubleType), parquet.Leaf(parquet.BooleanType), parquet.String()
	for _, tt := range []struct {
		typ, content string
		deletes      []string // nil: refused
	}{
		{"bigint", file(parquet.Int(64), double, int64(1), 2.5), nil},
		{"bigint", file(parquet.Int(64), boolean, int64(1), true), nil},
		{"decimal(10,2)", file(parquet.Int(64), double, int64(1), 2.5), nil},
		{"decimal(30,2)", file(text, double, "1", 2.5), nil},
		{"string", file(text, double, "1", 2.5), nil},
		{"string", file(text, parquet.Timestamp(parquet.Millisecond), "1", int64(5)), nil},
		{"date", file(text, double, "2024-01-01", 2.5), nil},
		{"bigint", file(parquet.Int(64), parquet.Int(32), int64(1), int32(2)), []string{"2|#1"}},
		{"bigint", file(parquet.Int(64), text, int64(1), "2"), []string{"2|#1"}},
		{"string", file(text, text, "1", "2"), []string{"2|#1"}},
	} {
		table := parquetTable("string")
		table.Columns[0] = column(1, "id", tt.typ)
		table.DMS.BeforeImagePrefix = ptr("before_")
		b := newBench(t, table)
		f := b.put(parquetKey, tt.content)
		if tt.deletes == nil {
			if failure := b.refused(f); failure.Code != CodeColumnType || failure.Column != "before_id" {
				t.Errorf("%s: refused with %v", tt.typ, failure)
			}
			continue
		}
		if got := b.stagedRows(b.mustRun(f).Manifest.Deletes); !slices.Equal(got, tt.deletes) {
			t.Errorf("%s: deletes are %q, want %q", tt.typ, got, tt.deletes)
		}
	}
}

func TestParquetRefused(t *testing.T) {
	columns := parquetColumns(parquet.String())
	row := []any{"2024-01-15 07:00:00", "I", int64(1), "x"}
	good := parquetFile(t, columns, row)
	for name, tt := range map[string]struct{ content, code string }{
		"csv":       {"I,x,1\n", CodeFormat},
		"cut off":   {good[:len(good)-20], CodeFormat},
		"null key":  {parquetFile(t, columns, []any{"2024-01-15 07:00:00", "I", nil, "x"}), CodeKeyNull},
		"missing":   {parquetFile(t, columns, []any{"2024-01-15 07:00:00", nil, int64(1), "x"}), CodeOpMissing},
		"no op":     {parquetFile(t, []parquetColumn{columns[0], columns[2]}, []any{"2024-01-15 07:00:00", int64(1)}), CodeColumnMissing},
		"timestamp": {parquetFile(t, columns, []any{"today", "I", int64(1), "x"}), CodeCommitTime},
		"nested":    {nestedFile(t), CodeFormat},
	} {
		b := newBench(t, parquetTable("string"))
		if f := b.refused(b.put(parquetKey, tt.content)); f.Code != tt.code || f.ObjectKey != parquetKey {
			t.Errorf("%s: refused with %+v", name, f)
		}
	}
	for says, content := range map[string]string{
		"no whole Parquet file: it is too short":        "",
		"not read: column V: encoding DELTA_BYTE_ARRAY": parquetFile(t, parquetColumns(parquet.Encoded(parquet.String(), &parquet.DeltaByteArray)), row),
		"not read: column V: compression LZ4_RAW":       parquetFile(t, parquetColumns(parquet.Compressed(parquet.String(), &parquet.Lz4Raw)), row),
		"not read: column V: compression BROTLI":        parquetFile(t, parquetColumns(parquet.Compressed(parquet.String(), &parquet.Brotli)), row),
	} {
		b := newBench(t, parquetTable("string"))
		if f := b.refused(b.put(parquetKey, content)); f.Code != CodeFormat || !strings.Contains(f.Message, says) {
			t.Errorf("%v does not say %q", f, says)
		}
	}
	b := newBench(t, parquetTable("string"))
	if f := b.refused(b.put(strings.Replace(parquetKey, ".parquet", ".csv", 1), good)); f.Code != CodeFormat || !strings.Contains(f.Message, "the name says csv, parquet is registered") {
		t.Errorf("a name of another format: %v", f)
	}
}

func nestedFile(t *testing.T) string {
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[struct {
		ID   int64
		Tags []string
	}](&buf)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// TestParquetDamaged: whatever byte of a file is wrong, no panic escapes; what
// is not refused has all rows.
func TestParquetDamaged(t *testing.T) {
	good := []byte(parquetFile(t, parquetColumns(parquet.String()),
		[]any{"2024-01-15 07:00:00", "I", int64(1), "x"}, []any{"2024-01-15 07:00:00", "I", int64(2), "y"}))
	for i := range good {
		b := newBench(t, parquetTable("string"))
		bad := bytes.Clone(good)
		bad[i] ^= 0x55
		r, err := b.run(b.put(parquetKey, string(bad)))
		if err == nil && r.Manifest.Counts.RowsRead != 2 {
			t.Errorf("byte %d: %+v", i, r.Manifest.Counts)
		}
		if err != nil && !isFailure(err) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

// brokenBucket fails every read.
type brokenBucket struct{ *memBucket }

type brokenReader struct{ objects.Reader }

var errDisk = errors.New("disk fault")

func (b brokenBucket) Open(ctx context.Context, key string, v objects.Version) (objects.Reader, error) {
	r, err := b.memBucket.Open(ctx, key, v)
	return brokenReader{r}, err
}

func (brokenReader) Read([]byte) (int, error)          { return 0, errDisk }
func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// TestReadFaultsPass: a fault of the bucket is not the file's.
func TestReadFaultsPass(t *testing.T) {
	for key, table := range map[string]registry.Table{parquetKey: parquetTable("string"), changeKey: reports(), changeKey + ".gz": reports()} {
		b := newBench(t, table)
		f := b.put(key, "PAR1 something PAR1")
		_, err := Run(t.Context(), b.cfg, Deps{Raw: brokenBucket{b.raw}, Staging: b.staging}, Job{Table: table, File: f, Token: 7})
		if !errors.Is(err, errDisk) || isFailure(err) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// TestLongValues: how many rows are decoded at a time goes by their size.
func TestLongValues(t *testing.T) {
	const rows, size = 96, 1 << 20
	value := bytes.Repeat([]byte("x"), size)
	for name, c := range map[string]struct {
		encoding encoding.Encoding
		distinct bool
	}{
		"plain": {&parquet.Plain, true}, "by length": {&parquet.DeltaLengthByteArray, true}, "dictionary": {&parquet.RLEDictionary, false},
	} {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			w := parquet.NewWriter(&buf, parquet.NewSchema("schema", parquet.Group{"v": parquet.Compressed(parquet.Encoded(parquet.String(), c.encoding), &parquet.Zstd)}),
				parquet.PageBufferSize(size), parquet.DataPageStatistics(false), parquet.SkipPageBounds("v"))
			for i := range rows {
				if c.distinct {
					value[0] = byte(i)
				}
				if _, err := w.WriteRows([]parquet.Row{{parquet.ByteArrayValue(value).Level(0, 0, 0)}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			object := &memReader{Reader: bytes.NewReader(buf.Bytes()), info: objects.Info{Key: parquetKey, Size: int64(buf.Len())}}
			s, err := newParquetSource(object, Job{File: dms.File{Object: dms.Object{Key: parquetKey}}}, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			live := func() int64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int64(m.HeapAlloc)
			}
			before, read := live(), 0
			err = s.each(t.Context(), &binding{}, nil, func(r fileRow) error {
				if read++; read%32 == 1 {
					if held := live() - before; held > 48<<20 {
						t.Errorf("row %d: %d bytes are held", read, held)
					}
				}
				if len(r.text(0)) != size {
					t.Errorf("row %d has %d bytes", read, len(r.text(0)))
				}
				return nil
			})
			if err != nil || read != rows {
				t.Errorf("%d rows, %v", read, err)
			}
		})
	}
}
