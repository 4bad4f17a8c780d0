package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/objects"
	bucket "github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// The days from 0001-01-01 to 9999-12-31, counted from 1970-01-01.
const firstDay, lastDay = -719_162, 2_932_896

const microsPerDay = 86_400_000_000

// draw takes values from bytes; none are left: zeros.
type draw struct{ data []byte }

func (d *draw) uint64() uint64 {
	var b [8]byte
	d.data = d.data[copy(b[:], d.data):]
	return binary.LittleEndian.Uint64(b[:])
}

func (d *draw) byte() byte {
	if len(d.data) == 0 {
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *draw) bytes() []byte {
	n := min(int(d.byte()), len(d.data))
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *draw) between(low, high int64) int64 { return low + int64(d.uint64()%uint64(high-low+1)) }

// drawnColumns are the columns of the files that are made: an Arrow type, the type
// that is registered for it, and how a value comes to be.
var drawnColumns = []struct {
	typ  arrow.DataType
	sql  string
	draw func(d *draw, b array.Builder)
}{
	{arrow.FixedWidthTypes.Boolean, "boolean", func(d *draw, b array.Builder) { b.(*array.BooleanBuilder).Append(d.byte()&1 != 0) }},
	{arrow.PrimitiveTypes.Int16, "smallint", func(d *draw, b array.Builder) { b.(*array.Int16Builder).Append(int16(d.uint64())) }},
	{arrow.PrimitiveTypes.Int32, "int", func(d *draw, b array.Builder) { b.(*array.Int32Builder).Append(int32(d.uint64())) }},
	{arrow.PrimitiveTypes.Int64, "bigint", func(d *draw, b array.Builder) { b.(*array.Int64Builder).Append(int64(d.uint64())) }},
	{arrow.PrimitiveTypes.Uint32, "bigint", func(d *draw, b array.Builder) { b.(*array.Uint32Builder).Append(uint32(d.uint64())) }},
	{arrow.PrimitiveTypes.Float32, "real", func(d *draw, b array.Builder) {
		b.(*array.Float32Builder).Append(float32(int64(d.uint64())) / 1024)
	}},
	{arrow.PrimitiveTypes.Float64, "double", func(d *draw, b array.Builder) {
		b.(*array.Float64Builder).Append(float64(int64(d.uint64())) / (1 << 20))
	}},
	{&arrow.Decimal128Type{Precision: 9, Scale: 2}, "decimal(9,2)", func(d *draw, b array.Builder) {
		b.(*array.Decimal128Builder).Append(decimal128.FromI64(d.between(-999_999_999, 999_999_999)))
	}},
	{&arrow.Decimal128Type{Precision: 38, Scale: 6}, "decimal(38,6)", func(d *draw, b array.Builder) {
		b.(*array.Decimal128Builder).Append(decimal128.New(d.between(-1<<60, 1<<60), d.uint64()))
	}},
	{arrow.BinaryTypes.String, "string", func(d *draw, b array.Builder) {
		b.(*array.StringBuilder).Append(strings.ToValidUTF8(string(d.bytes()), "?"))
	}},
	{arrow.BinaryTypes.Binary, "binary", func(d *draw, b array.Builder) { b.(*array.BinaryBuilder).Append(d.bytes()) }},
	{arrow.FixedWidthTypes.Date32, "date", func(d *draw, b array.Builder) {
		b.(*array.Date32Builder).Append(arrow.Date32(d.between(firstDay, lastDay)))
	}},
	{&arrow.TimestampType{Unit: arrow.Microsecond}, "timestamp", func(d *draw, b array.Builder) {
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(d.between(firstDay*microsPerDay, (lastDay+1)*microsPerDay-1)))
	}},
	{&arrow.TimestampType{Unit: arrow.Millisecond}, "timestamp", func(d *draw, b array.Builder) {
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(d.between(firstDay*microsPerDay/1000, (lastDay+1)*microsPerDay/1000-1)))
	}},
	{&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, "timestamptz", func(d *draw, b array.Builder) {
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(d.between(firstDay*microsPerDay, (lastDay+1)*microsPerDay-1)))
	}},
}

// drawnTable is a table without a key, so that all rows stay, in their order.
func drawnTable(t testing.TB) registry.Table {
	table := registry.Table{ID: dms.TableID{DB: "rms", Table: "reports"}, Version: 1, DMS: registry.Settings{Format: registry.FormatParquet}}
	for i, c := range drawnColumns {
		typ, err := registry.ParseType(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		table.Columns = append(table.Columns, registry.Column{Name: fmt.Sprintf("c%02d", i), Type: typ})
	}
	table, err := registry.AssignIDs(nil, table)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// drawRows makes rows of every column; a fourth of the values is null.
func drawRows(data []byte, rows int) arrow.RecordBatch {
	var fields []arrow.Field
	for i, c := range drawnColumns {
		fields = append(fields, arrow.Field{Name: fmt.Sprintf("c%02d", i), Type: c.typ, Nullable: true})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	d := &draw{data: data}
	for range rows {
		for i, c := range drawnColumns {
			if d.byte()%4 == 3 {
				b.Field(i).AppendNull()
				continue
			}
			c.draw(d, b.Field(i))
		}
	}
	return b.NewRecordBatch()
}

// writeRows has Arrow write the file, as the bits of shape say.
func writeRows(t *testing.T, rows arrow.RecordBatch, shape uint16) []byte {
	codecs := []compress.Compression{compress.Codecs.Uncompressed, compress.Codecs.Snappy, compress.Codecs.Gzip, compress.Codecs.Zstd}
	options := []parquet.WriterProperty{
		parquet.WithCompression(codecs[shape&3]), parquet.WithDictionaryDefault(shape&4 != 0),
		parquet.WithMaxRowGroupLength(int64(1 + shape>>4&63)), parquet.WithDataPageSize(int64(1 + shape>>10)),
	}
	if shape&8 != 0 {
		options = append(options, parquet.WithDataPageVersion(parquet.DataPageV2))
	}
	var out bytes.Buffer
	w, err := pqarrow.NewFileWriter(rows.Schema(), &out, parquet.NewWriterProperties(options...), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzParquetValues: what another writer put into a Parquet file, in any of its
// forms, is what the same project's reader finds in the staged one.
func FuzzParquetValues(f *testing.F) {
	for i, text := range []string{"", strings.Repeat("\x00\xff\x01", 400), strings.Repeat("some text é \x03", 200), strings.Repeat("\x02", 99)} {
		for shape := uint16(0); shape < 16; shape += 3 {
			f.Add([]byte(text), byte(7*i), shape|uint16(i)<<5)
		}
	}
	table := drawnTable(f)
	f.Fuzz(func(t *testing.T, data []byte, count byte, shape uint16) {
		rows := drawRows(data, int(count))
		defer rows.Release()
		staged := stageParquet(t, table, writeRows(t, rows, shape))
		var found int64
		for _, content := range staged {
			got, err := pqarrow.ReadTable(context.Background(), bytes.NewReader(content), nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range drawnColumns {
				compareColumn(t, c.sql, rows.Column(i), got.Column(i).Data().Chunks(), found)
			}
			found += got.NumRows()
			got.Release()
		}
		if found != rows.NumRows() {
			t.Fatalf("%d rows were written, %d are staged", rows.NumRows(), found)
		}
	})
}

// compareColumn compares the values of a column from a row on.
func compareColumn(t *testing.T, sql string, want arrow.Array, got []arrow.Array, from int64) {
	t.Helper()
	for _, chunk := range got {
		for i := range chunk.Len() {
			if w, g := shown(want, int(from)), shown(chunk, i); w != g {
				t.Fatalf("row %d, %s: %s was written, %s is staged", from+1, sql, w, g)
			}
			from++
		}
	}
}

// shown is a value as text: timestamps of every unit as microseconds.
func shown(a arrow.Array, i int) string {
	ts, ok := a.(*array.Timestamp)
	if !ok || a.IsNull(i) {
		return a.ValueStr(i)
	}
	n := int64(ts.Value(i))
	if a.DataType().(*arrow.TimestampType).Unit == arrow.Millisecond {
		n *= 1000
	}
	return fmt.Sprint(n)
}

// stageParquet transforms a load file, and gives the staged ones.
func stageParquet(t *testing.T, table registry.Table, content []byte) [][]byte {
	t.Helper()
	var dirs [2]*bucket.Bucket
	for i, name := range []string{"raw", "staging"} {
		dir, err := os.MkdirTemp(quickDir(), "parquet") //nolint:usetesting // in memory
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if dirs[i], err = bucket.New(name, dir); err != nil {
			t.Fatal(err)
		}
		defer dirs[i].Close()
	}
	job := jobstest.PutJob(t, dirs[0], "dms/rms/reports/LOAD00000001.parquet", string(content))
	job.Table = table
	file, err := local.New(dirs[0], dirs[1], nil, transform.DefaultConfig()).Run(t.Context(), job)
	if err != nil {
		t.Fatalf("what Arrow wrote is refused: %v", err)
	}
	m, err := transform.ReadManifest(t.Context(), dirs[1], file.GetManifestKey(), file.GetManifestSha256())
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, s := range m.Rows {
		r, err := dirs[1].Open(t.Context(), s.Key, objects.Version{})
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, s.Bytes)
		if _, err := r.ReadAt(data, 0); err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
		_ = r.Close()
	}
	return out
}

// quickDir is a folder in memory where there is one.
func quickDir() string {
	const shared = "/dev/shm"
	if info, err := os.Stat(shared); err == nil && info.IsDir() {
		return shared
	}
	return ""
}
