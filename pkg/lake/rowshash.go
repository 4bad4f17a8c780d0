package lake

import (
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"github.com/openblotter/blotter/pkg/dms"
)

// RowsHash is a hash of a set of rows, whatever their order, which follows the set as
// rows come and go: the sum, modulo 2^512, of the SHA-512 of each (AdHash of Bellare and
// Micciancio, "A New Paradigm for Collision-Free Hashing", 1997). A row counts as the
// place that it came from, file and row number. Of what is in the row the log tells by
// the hash of the staged file that it stood in.
//
// Two sets with different rows have different hashes, but for accidents that nobody
// will see. It withstands no one who may choose millions of places to that end; who
// changed what, the hashes of raw versions and staged files tell. The zero value is that
// of no rows.
type RowsHash struct{ limbs [sha512.Size / 8]uint64 } // the lowest first

// Add takes a row in.
func (h *RowsHash) Add(file dms.FileID, row int64) { h.plus(hashOf(file, row)) }

// Remove takes a row out.
func (h *RowsHash) Remove(file dms.FileID, row int64) { h.minus(hashOf(file, row)) }

// hashOf is the hash of one row.
func hashOf(file dms.FileID, row int64) (h RowsHash) {
	var buf [64]byte
	sum := sha512.Sum512(binary.BigEndian.AppendUint64(append(buf[:0], file...), uint64(row)))
	for i := range h.limbs {
		h.limbs[i] = binary.LittleEndian.Uint64(sum[8*i:])
	}
	return h
}

func (h *RowsHash) plus(o RowsHash) {
	var carry uint64
	for i := range h.limbs {
		h.limbs[i], carry = bits.Add64(h.limbs[i], o.limbs[i], carry)
	}
}

func (h *RowsHash) minus(o RowsHash) {
	var borrow uint64
	for i := range h.limbs {
		h.limbs[i], borrow = bits.Sub64(h.limbs[i], o.limbs[i], borrow)
	}
}

// String gives it in hex.
func (h RowsHash) String() string {
	var b []byte
	for _, limb := range h.limbs {
		b = binary.LittleEndian.AppendUint64(b, limb)
	}
	return hex.EncodeToString(b)
}

// ParseRowsHash reads what String gives.
func ParseRowsHash(s string) (h RowsHash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != sha512.Size {
		return h, fmt.Errorf("read a hash of rows: %d characters are not %d hex digits", len(s), 2*sha512.Size)
	}
	for i := range h.limbs {
		h.limbs[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return h, nil
}

// knownRows is the hash of a table's rows, where it is known.
type knownRows struct {
	RowsHash
	known bool
}

// String gives it in hex, or nothing.
func (k knownRows) String() string {
	if !k.known {
		return ""
	}
	return k.RowsHash.String()
}
