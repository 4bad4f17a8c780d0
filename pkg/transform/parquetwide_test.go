package transform

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// wideLimit is more than any column of everyKind needs, and less than all of them do.
const wideLimit = 6 << 10

// openParquetBytes opens a file with a bound on the memory of its pages.
func openParquetBytes(t *testing.T, data string, limit int64) *parquetSource {
	t.Helper()
	object := &memReader{Reader: bytes.NewReader([]byte(data)), info: objects.Info{Key: parquetKey, Size: int64(len(data))}}
	s, err := newParquetSource(object, Job{File: dms.File{Object: dms.Object{Key: parquetKey}}}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.guard.limit = limit
	return s
}

// spelled gives every value of a file, with its kind.
func spelled(t *testing.T, s *parquetSource) ([]string, error) {
	t.Helper()
	var rows []string
	err := s.each(t.Context(), &binding{}, nil, func(r fileRow) error {
		row := r.(*valueRow)
		text := fmt.Sprint(row.number())
		for i, v := range row.values {
			text += fmt.Sprintf("|%d %t %q", v.Kind(), row.null(i), row.shown(i))
		}
		rows = append(rows, text)
		return nil
	})
	return rows, err
}

// everyKind is a file of several row groups in which each physical type occurs, in
// plain and in dictionary pages, with nulls.
func everyKind(t *testing.T, groups, rows int) string {
	t.Helper()
	columns := []parquetColumn{
		{"b", parquet.Leaf(parquet.BooleanType)}, {"i", parquet.Int(32)}, {"l", parquet.Int(64)},
		{"t", parquet.Leaf(parquet.Int96Type)}, {"f", parquet.Leaf(parquet.FloatType)}, {"d", parquet.Leaf(parquet.DoubleType)},
		{"s", parquet.Encoded(parquet.String(), &parquet.RLEDictionary)}, {"p", parquet.String()},
		{"x", parquet.Decimal(2, 10, parquet.FixedLenByteArrayType(5))},
	}
	root := orderedGroup{Group: parquet.Group{}}
	for _, c := range columns {
		node := parquet.Optional(c.node)
		root.Group[c.name] = node
		root.fields = append(root.fields, orderedField{Node: node, name: c.name})
	}
	var buf bytes.Buffer
	w := parquet.NewWriter(&buf, parquet.NewSchema("schema", root), parquet.PageBufferSize(512))
	for g := range groups {
		for r := range rows {
			n := g*rows + r
			row := parquet.Row{
				parquet.ValueOf(n%2 == 0), parquet.ValueOf(int32(-n)), parquet.ValueOf(int64(n) << 40),
				parquet.ValueOf(deprecated.Int96{uint32(n), 7, 2_440_588}), parquet.ValueOf(float32(n) / 3), parquet.ValueOf(float64(n) / 7),
				parquet.ValueOf(fmt.Sprint("same ", n%3)), parquet.ValueOf(strings.Repeat("é", n%40)),
				parquet.FixedLenByteArrayValue([]byte{0, 1, 2, 3, byte(n)}),
			}
			for i := range row {
				row[i] = row[i].Level(0, 1, i)
				if (n+i)%5 == 0 {
					row[i] = parquet.NullValue().Level(0, 0, i)
				}
			}
			if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// TestWideRowGroup: a row group whose pages are too much to be held at once gives
// the rows that it gives where they are not.
func TestWideRowGroup(t *testing.T) {
	const groups, rows = 3, 300
	data := everyKind(t, groups, rows)
	want, err := spelled(t, openParquetBytes(t, data, maxGroupMemory))
	if err != nil || len(want) != groups*rows {
		t.Fatalf("%d rows, %v", len(want), err)
	}
	s := openParquetBytes(t, data, wideLimit)
	if _, wide, err := s.guard.group(&s.file.Metadata().RowGroups[0], s.file.Schema().Fields()); err != nil || !wide {
		t.Fatalf("wide is %t, %v: the test reads as usual", wide, err)
	}
	got, err := spelled(t, s)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d rows, %v: want those that are read at once", len(got), err)
	}
	if left, err := os.ReadDir(s.dir.parent); err != nil || len(left) != 0 {
		t.Errorf("left in the scratch folder: %v, %v", left, err)
	}
}

// TestWideRowGroupEnds: what ends the reading of a wide row group early is told as
// what it is, and leaves no scratch file.
func TestWideRowGroupEnds(t *testing.T) {
	data, stop := everyKind(t, 1, 300), errors.New("enough")
	for name, c := range map[string]struct {
		change func(*parquetSource)
		want   error
	}{
		"no scratch folder":   {func(s *parquetSource) { s.dir.parent += "/none" }, os.ErrNotExist},
		"fault of the bucket": {func(s *parquetSource) { s.object.Reader = brokenReader{s.object.Reader} }, errDisk},
		"the consumer":        {func(*parquetSource) {}, stop},
	} {
		s := openParquetBytes(t, data, wideLimit)
		c.change(s)
		err := s.each(t.Context(), &binding{}, nil, func(r fileRow) error {
			if r.number() == 7 {
				return stop
			}
			return nil
		})
		if !errors.Is(err, c.want) || isFailure(err) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(s.dir.parent); len(left) != 0 {
			t.Errorf("%s: left in the scratch folder: %v", name, left)
		}
	}
}

// TestWideScratchIsBounded: a few bytes of a dictionary can stand for very many.
func TestWideScratchIsBounded(t *testing.T) {
	s := openParquetBytes(t, everyKind(t, 1, 300), maxGroupMemory)
	w, err := newWideGroup(s.dir, 4<<10, maxWideRow)
	if err != nil {
		t.Fatal(err)
	}
	unread := (*unreadError)(nil)
	if err := w.lay(t.Context(), s.file.RowGroups()[0]); !errors.As(err, &unread) {
		t.Errorf("more than the bound is laid out: %v", err)
	}
	if f := (*Failure)(nil); !errors.As(s.damage(unread), &f) || strings.Contains(f.Message, "no whole") {
		t.Errorf("it is told as %v", f)
	}
	if err := errors.Join(w.close(), s.dir.remove()); err != nil {
		t.Error(err)
	}
}

// TestWideRowIsBounded: a row is held whole, so one that is too long is refused
// before it is put together.
func TestWideRowIsBounded(t *testing.T) {
	s := openParquetBytes(t, everyKind(t, 1, 300), maxGroupMemory)
	for longest, whole := range map[int64]bool{maxWideRow: true, 64: false} {
		w, err := newWideGroup(s.dir, maxWideScratch, longest)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.lay(t.Context(), s.file.RowGroups()[0]); err != nil {
			t.Fatal(err)
		}
		w.rewind()
		rows, unread := 0, (*unreadError)(nil)
		for ; rows < 300 && err == nil; rows++ {
			_, err = w.next()
		}
		if whole != (err == nil) || !whole && !errors.As(err, &unread) {
			t.Errorf("at most %d bytes: %d rows, then %v", longest, rows, err)
		}
		if len(w.arena) > int(longest) {
			t.Errorf("%d bytes are held, %d are allowed", len(w.arena), longest)
		}
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}
	if err := s.dir.remove(); err != nil {
		t.Error(err)
	}
}

// longerGroup claims a row more than its columns have.
type longerGroup struct{ parquet.RowGroup }

func (g longerGroup) NumRows() int64 { return g.RowGroup.NumRows() + 1 }

// TestWideColumnOfAnotherLength: rows are put together by their numbers, so a column
// with more or fewer values than the group has rows is damage.
func TestWideColumnOfAnotherLength(t *testing.T) {
	s := openParquetBytes(t, everyKind(t, 1, 300), maxGroupMemory)
	w, err := newWideGroup(s.dir, maxWideScratch, maxWideRow)
	if err != nil {
		t.Fatal(err)
	}
	err = w.lay(t.Context(), longerGroup{s.file.RowGroups()[0]})
	if err == nil || !strings.Contains(err.Error(), "301 rows, column 1 of it 300 values") || !isFailure(s.damage(err)) {
		t.Errorf("a column that is too short: %v", err)
	}
	if err := errors.Join(w.close(), s.dir.remove()); err != nil {
		t.Error(err)
	}
}
