package transform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// allocated gives the bytes that f allocates, freed ones included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// readParquet reads all values of a file, as every column may be asked for them,
// and gives its rows; limit bounds the memory of a row group.
func readParquet(t testing.TB, data []byte, limit int64) (rows int64, err error) {
	t.Helper()
	object := &memReader{Reader: bytes.NewReader(data), info: objects.Info{Key: parquetKey, Size: int64(len(data))}}
	s, err := newParquetSource(object, Job{File: dms.File{Object: dms.Object{Key: parquetKey}}}, t.TempDir())
	if err != nil {
		return 0, err
	}
	s.guard.limit = limit
	err = s.each(t.Context(), &binding{}, nil, func(r fileRow) error {
		rows++
		for i := range s.fields {
			if !r.null(i) {
				r.micros(i)
				r.text(i)
				_ = r.shown(i)
			}
		}
		return nil
	})
	return rows, err
}

// forge takes a file of one column apart, has its footer and its data page
// changed, and puts it together again.
func forge(t *testing.T, change func(*format.FileMetaData), page func(*format.PageHeader, []byte) []byte) []byte {
	t.Helper()
	data := []byte(parquetFile(t, []parquetColumn{{"n", parquet.Encoded(parquet.Int(64), &parquet.Plain)}}, []any{int64(1)}, []any{nil}, []any{int64(3)}))
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	meta := f.Metadata()
	column := &meta.RowGroups[0].Columns[0].MetaData
	begin := column.DataPageOffset
	n, err := scanThrift(data[begin:], maxFooterItems)
	if err != nil {
		t.Fatal(err)
	}
	var protocol thrift.CompactProtocol
	header := new(format.PageHeader)
	if err := thrift.Unmarshal(&protocol, data[begin:begin+int64(n)], header); err != nil {
		t.Fatal(err)
	}
	body := data[begin+int64(n) : begin+int64(n)+int64(header.CompressedPageSize)]
	header.CRC = 0
	if page != nil {
		body = page(header, body)
	}
	head, err := thrift.Marshal(&protocol, header)
	if err != nil {
		t.Fatal(err)
	}
	column.DataPageOffset, column.DictionaryPageOffset, column.TotalCompressedSize = 4, 0, int64(len(head)+len(body))
	if change != nil {
		change(meta)
	}
	footer, err := thrift.Marshal(&protocol, meta)
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte("PAR1"), head...)
	return withFooter(append(out, body...), footer)
}

func withFooter(data, footer []byte) []byte {
	data = append(data, footer...)
	data = binary.LittleEndian.AppendUint32(data, uint32(len(footer)))
	return append(data, "PAR1"...)
}

// TestForgedParquet: files of some hundred bytes that claim to hold more than
// memory does are refused before anything believes them.
func TestForgedParquet(t *testing.T) {
	const limit, most = 1 << 20, 8 << 20
	column := func(m *format.FileMetaData) *format.ColumnMetaData { return &m.RowGroups[0].Columns[0].MetaData }
	gzipped := func(n int) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := io.CopyN(w, zeros{}, int64(n)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	v1 := func(h *format.PageHeader) *format.DataPageHeader {
		h.Type, h.DataPageHeaderV2.Valid = format.DataPage, false
		h.DataPageHeader.Valid = true
		h.DataPageHeader.V = format.DataPageHeader{NumValues: 3, Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE}
		return &h.DataPageHeader.V
	}
	sized := func(h *format.PageHeader, body []byte) []byte {
		h.CompressedPageSize, h.UncompressedPageSize = int32(len(body)), int32(len(body))
		return body
	}
	longRun := binary.AppendUvarint(nil, math.MaxInt32<<1) // of one value
	levels := func(b []byte) []byte { return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...) }
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"a footer longer than the file":                  {append(append([]byte("PAR1"), make([]byte, 20)...), "\xff\xff\xff\x7fPAR1"...), "its footer has 2147483647 bytes"},
		"a list of all the row groups that there can be": {withFooter([]byte("PAR1"), []byte{0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00}), "more parts"},
		"a text longer than the footer":                  {withFooter([]byte("PAR1"), []byte{0x68, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00}), "ends early"},
		"a deep footer":                                  {withFooter([]byte("PAR1"), bytes.Repeat([]byte{0x1c}, 4<<20)), "nested too deep"},
		"a deep list in the footer":                      {withFooter([]byte("PAR1"), append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 1<<20)...)), "nested too deep"},
		"values where it should begin":                   {append([]byte("Smit"), forge(t, nil, nil)[4:]...), "Parquet file: it does not begin as one"},
		"a page of two gigabytes":                        {forge(t, nil, func(h *format.PageHeader, b []byte) []byte { h.CompressedPageSize = math.MaxInt32; return b }), "a page claims 2147483647 bytes"},
		"a page that unpacks to two gigabytes":           {forge(t, nil, func(h *format.PageHeader, b []byte) []byte { h.UncompressedPageSize = math.MaxInt32; return b }), "2147483647 uncompressed"},
		"two billion values": {forge(t, nil, func(h *format.PageHeader, b []byte) []byte {
			v1(h).NumValues = math.MaxInt32
			return sized(h, append(levels(append(longRun, 0)), b...))
		}), "in a way that is not read: column n: a page of it needs more than 1 MiB"},
		"levels of two billion values": {forge(t, nil, func(h *format.PageHeader, b []byte) []byte {
			v1(h)
			return sized(h, append(levels(append(longRun, 1)), b...))
		}), "more values than it has"},
		"indexes of two billion values": {forge(t, nil, func(h *format.PageHeader, b []byte) []byte {
			v1(h).Encoding = format.RLEDictionary
			return sized(h, append(append(levels([]byte{6, 1}), 1), append(longRun, 0)...))
		}), "more values than it has"},
		"deltas of two billion values": {forge(t, nil, func(h *format.PageHeader, b []byte) []byte {
			v1(h).Encoding = format.DeltaBinaryPacked
			return sized(h, append(levels([]byte{6, 1}), binary.AppendUvarint([]byte{0x80, 1, 4}, math.MaxInt32)...))
		}), "more values than it has"},
		"an encoding that multiplies": {forge(t, nil, func(h *format.PageHeader, b []byte) []byte {
			v1(h).Encoding = format.DeltaByteArray
			return sized(h, levels([]byte{6, 1}))
		}), "in a way that is not read"},
		"snappy that claims four gigabytes": {forge(t, func(m *format.FileMetaData) { column(m).Codec = format.Snappy }, func(h *format.PageHeader, b []byte) []byte {
			v1(h)
			return sized(h, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00})
		}), "larger than the limit"},
		"gzip of much of nothing": {forge(t, func(m *format.FileMetaData) { column(m).Codec = format.Gzip }, func(h *format.PageHeader, b []byte) []byte {
			v1(h)
			return sized(h, gzipped(8<<20))
		}), "larger than the limit"},
		"an unknown compression": {forge(t, func(m *format.FileMetaData) { column(m).Codec = format.Brotli }, func(h *format.PageHeader, b []byte) []byte {
			v1(h)
			return sized(h, b)
		}), "in a way that is not read"},
		"pages outside of the file": {forge(t, func(m *format.FileMetaData) { column(m).TotalCompressedSize = math.MaxInt64 }, nil), "outside of the file"},
		"pages before the file":     {forge(t, func(m *format.FileMetaData) { column(m).DataPageOffset = -1 }, nil), "outside of the file"},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := allocated(func() { _, err = readParquet(t, c.data, limit) })
			var failure *Failure
			if !errors.As(err, &failure) || failure.Code != CodeFormat || !strings.Contains(failure.Message, c.says) {
				t.Errorf("%v, expected a refusal that says %q", err, c.says)
			}
			if used > most+4*uint64(len(c.data)) {
				t.Errorf("%d bytes are allocated for a file of %d", used, len(c.data))
			}
		})
	}
	for name, data := range map[string][]byte{
		"as it was": forge(t, nil, nil),
		"snappy": forge(t, func(m *format.FileMetaData) { column(m).Codec = format.Snappy }, func(h *format.PageHeader, b []byte) []byte {
			v1(h)
			plain := append(levels([]byte{3, 0b101}), binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1), 3)...)
			packed := snappy.Encode(nil, plain)
			h.CompressedPageSize, h.UncompressedPageSize = int32(len(packed)), int32(len(plain))
			return packed
		}),
	} {
		if rows, err := readParquet(t, data, limit); rows != 3 || err != nil {
			t.Errorf("%s: %d rows, %v; expected 3", name, rows, err)
		}
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// FuzzParquet: arbitrary bytes and mutated files are read or refused, within
// the memory that the guard allows, and twice in the same way.
func FuzzParquet(f *testing.F) {
	columns := []parquetColumn{
		{"n", parquet.Int(64)}, {"i", parquet.Int(32)}, {"b", parquet.Leaf(parquet.BooleanType)}, {"x", parquet.Leaf(parquet.DoubleType)},
		{"s", parquet.String()}, {"d", parquet.Decimal(2, 18, parquet.Int64Type)}, {"at", parquet.Timestamp(parquet.Microsecond)},
	}
	row := []any{int64(7), int32(-7), true, 1.5, "text", int64(1234), int64(1_700_000_000_000_000)}
	nulls := make([]any, len(columns))
	encodings := func(e parquet.Node) []parquetColumn { return []parquetColumn{{"c", e}} }
	for _, data := range []string{
		"", "PAR1", "PAR1PAR1", parquetFile(f, columns, row, nulls, row), parquetFile(f, columns),
		parquetFile(f, encodings(parquet.Encoded(parquet.String(), &parquet.RLEDictionary)), []any{"a"}, []any{"b"}, []any{"a"}, []any{nil}),
		parquetFile(f, encodings(parquet.Encoded(parquet.Int(64), &parquet.DeltaBinaryPacked)), []any{int64(1)}, []any{int64(1 << 40)}),
		parquetFile(f, encodings(parquet.Encoded(parquet.String(), &parquet.DeltaLengthByteArray)), []any{"a"}, []any{"bcd"}),
		parquetFile(f, encodings(parquet.Compressed(parquet.String(), &parquet.Snappy)), []any{strings.Repeat("ab", 100)}),
		parquetFile(f, encodings(parquet.Compressed(parquet.String(), &parquet.Gzip)), []any{strings.Repeat("ab", 100)}),
		parquetFile(f, encodings(parquet.Compressed(parquet.String(), &parquet.Zstd)), []any{strings.Repeat("ab", 100)}),
	} {
		f.Add([]byte(data), uint16(0), byte(0))
		f.Add([]byte(data), uint16(len(data)/2), byte(0x7f))
	}
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, data []byte, at uint16, with byte) {
		if int(at) < len(data) {
			data[at] ^= with
		}
		var rows int64
		var err error
		used := allocated(func() { rows, err = readParquet(t, data, limit) })
		var failure *Failure
		if err != nil && !errors.As(err, &failure) {
			t.Fatalf("%v is no refusal", err)
		}
		// Decoding what the guard has passed takes some copies of it, of each page.
		if bound := uint64(32<<20) + 512*uint64(len(data)); used > bound {
			t.Fatalf("%d bytes are allocated for a file of %d", used, len(data))
		}
		again, errAgain := readParquet(t, data, limit)
		if again != rows || (err == nil) != (errAgain == nil) {
			t.Fatalf("%d rows (%v), then %d (%v)", rows, err, again, errAgain)
		}
	})
}
