package lake

import (
	"fmt"
	"math/bits"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// keyedReader is a rowReader that knows the encoded key of its current row.
type keyedReader struct {
	*rowReader
	keyTypes []registry.Type
	keyCols  []int // places of the key columns among the columns read
	key      []byte
	parts    []parquet.Value
}

func newKeyedReader(file *parquet.File, want []registry.Column, key []registry.Column) (*keyedReader, error) {
	r, err := newRowReader(file, want)
	if err != nil {
		return nil, err
	}
	k := &keyedReader{rowReader: r, parts: make([]parquet.Value, len(key))}
	for _, c := range key {
		for i, w := range want {
			if w.ID == c.ID {
				k.keyCols = append(k.keyCols, i)
				k.keyTypes = append(k.keyTypes, c.Type)
			}
		}
	}
	if len(k.keyCols) != len(key) {
		return nil, fmt.Errorf("key of %d columns, %d are read", len(key), len(k.keyCols))
	}
	return k, nil
}

// encodeAt appends the key of a row of the slab.
func (k *keyedReader) encodeAt(dst []byte, at int) ([]byte, error) {
	for i, c := range k.keyCols {
		k.parts[i] = k.vals[c][at]
	}
	return transform.EncodeKey(dst, k.keyTypes, k.parts)
}

// next goes to the next row and encodes its key.
func (k *keyedReader) next() (bool, error) {
	ok, err := k.rowReader.next()
	if !ok || err != nil {
		return false, err
	}
	k.key, err = k.encodeAt(k.key[:0], k.at)
	return err == nil, err
}

// bitmap is a set of row numbers of one file.
type bitmap []uint64

func newBitmap(n int64) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) set(i int64)      { b[i>>6] |= 1 << (i & 63) }
func (b bitmap) has(i int64) bool { return len(b) > 0 && b[i>>6]&(1<<(i&63)) != 0 }

func (b bitmap) count() int64 {
	var n int
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return int64(n)
}
