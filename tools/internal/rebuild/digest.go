package rebuild

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/tools/internal/spill"
)

// side is one of the two tables that are compared.
type side struct {
	set   *lake.RowSet
	key   []int // the key's columns
	types []registry.Type
	names []string // folded
	cols  []int    // columns by folded name, so that their order does not matter
	parts []parquet.Value
	buf   []byte
}

// newSide finds the key by name; a table without one has (file, row) for it.
func newSide(set *lake.RowSet, key []string) (*side, error) {
	s := &side{set: set}
	for i, c := range set.Columns {
		s.names = append(s.names, registry.FoldName(c.Name))
		s.cols = append(s.cols, i)
	}
	slices.SortFunc(s.cols, func(a, b int) int { return strings.Compare(s.names[a], s.names[b]) })
	for _, name := range key {
		i := slices.Index(s.names, registry.FoldName(name))
		if i < 0 {
			return nil, fmt.Errorf("key column %s is not among the table's columns", name)
		}
		s.key, s.types = append(s.key, i), append(s.types, set.Columns[i].Type)
	}
	s.parts = make([]parquet.Value, len(s.key))
	return s, nil
}

// encodeKey appends what identifies a row. A key column that is null, which no file
// that was published can have, makes a key of its own beside all others.
func (s *side) encodeKey(dst []byte, row lake.Row) ([]byte, error) {
	if len(s.key) == 0 {
		dst = append(append(dst, row.File...), 0)
		return binary.BigEndian.AppendUint64(dst, uint64(row.Number)), nil
	}
	for i, c := range s.key {
		s.parts[i] = row.Values[c]
	}
	out, err := transform.EncodeKey(dst, s.types, s.parts)
	if errors.Is(err, transform.ErrNullKey) {
		out = append(append(out[:len(dst)], "null\x00"...), row.File...)
		return binary.BigEndian.AppendUint64(append(out, 0), uint64(row.Number)), nil
	}
	return out, err
}

// digest hashes a row: its columns by folded name, those that are null left out, as
// text; then file, row and position. Floats count as doubles and each text has its
// length before it, so that neither wider types, nor new columns, nor their order
// change it.
func (s *side) digest(row lake.Row) [sha256.Size]byte {
	b := s.buf[:0]
	for _, i := range s.cols {
		v := row.Values[i]
		if v.IsNull() {
			continue
		}
		b = appendText(b, []byte(s.names[i]))
		at := len(b)
		b = s.appendValue(append(b, make([]byte, 8)...), i, v)
		binary.BigEndian.PutUint64(b[at:], uint64(len(b)-at-8))
	}
	b = appendText(b, []byte(row.File))
	b = binary.BigEndian.AppendUint64(b, uint64(row.Number))
	b = appendText(b, []byte(row.Position))
	s.buf = b
	return sha256.Sum256(b)
}

func (s *side) appendValue(dst []byte, i int, v parquet.Value) []byte {
	t := s.set.Columns[i].Type
	if t.Kind == registry.Float {
		t, v = registry.Type{Kind: registry.Double}, parquet.DoubleValue(float64(v.Float()))
	}
	return lake.AppendValue(dst, t, v)
}

func appendText(dst, text []byte) []byte {
	return append(binary.BigEndian.AppendUint64(dst, uint64(len(text))), text...)
}

// A sorted record has a row's key, and for value row, digest and file.
const (
	offDigest = 8
	offFile   = offDigest + sha256.Size
)

// sort reads all rows into a sorter.
func (s *side) sort(ctx context.Context, into *spill.Sorter) error {
	var key, value []byte
	for row, err := range s.set.All(ctx) {
		if err != nil {
			return err
		}
		if key, err = s.encodeKey(key[:0], row); err != nil {
			return err
		}
		sum := s.digest(row)
		value = binary.BigEndian.AppendUint64(value[:0], uint64(row.Number))
		value = append(append(value, sum[:]...), row.File...)
		if err := into.Add(key, value); err != nil {
			return err
		}
	}
	return nil
}

// placeOf reads a record's provenance.
func placeOf(value []byte) *Place {
	return &Place{File: dms.FileID(value[offFile:]), Row: int64(binary.BigEndian.Uint64(value))}
}
