package rows

import (
	"encoding/binary"
	"io"
)

// PieceBytes bounds a piece of a change: a row that Spark moves is never larger
// than that and its key, however large the fields of a file are.
const PieceBytes = 16 << 10

// A block ends with either of these.
const (
	blockPieces = 4096
	blockBytes  = 1 << 20
)

// blockWriter writes pieces in blocks.
type blockWriter struct {
	w      io.Writer
	places column
	data   column
	split  []byte
}

// column is a binary column as Arrow lays it out.
type column struct {
	offsets []uint32
	bytes   []byte
}

func (c *column) add(b []byte) {
	c.bytes = append(c.bytes, b...)
	c.offsets = append(c.offsets, uint32(len(c.bytes)))
}

// change writes a change, in as many pieces as it takes.
func (b *blockWriter) change(place, change []byte) error {
	if len(change) <= PieceBytes {
		return b.piece(place, change)
	}
	for n := uint32(0); len(change) > 0; n++ {
		b.split = binary.BigEndian.AppendUint32(append(b.split[:0], place...), n)
		size := min(len(change), PieceBytes)
		if err := b.piece(b.split, change[:size]); err != nil {
			return err
		}
		change = change[size:]
	}
	return nil
}

func (b *blockWriter) piece(place, data []byte) error {
	b.places.add(place)
	b.data.add(data)
	if len(b.data.offsets) < blockPieces && len(b.data.bytes)+len(b.places.bytes) < blockBytes {
		return nil
	}
	return b.flush()
}

// flush writes what is held as a block.
func (b *blockWriter) flush() error {
	if len(b.data.offsets) == 0 {
		return nil
	}
	head := make([]byte, 0, 20+8*len(b.data.offsets))
	for _, n := range []int{len(b.data.offsets), len(b.places.bytes), len(b.data.bytes)} {
		head = binary.LittleEndian.AppendUint32(head, uint32(n))
	}
	for _, c := range []*column{&b.places, &b.data} {
		head = binary.LittleEndian.AppendUint32(head, 0)
		for _, at := range c.offsets {
			head = binary.LittleEndian.AppendUint32(head, at)
		}
	}
	for _, part := range [][]byte{head, b.places.bytes, b.data.bytes} {
		if _, err := b.w.Write(part); err != nil {
			return err
		}
	}
	for _, c := range []*column{&b.places, &b.data} {
		c.offsets, c.bytes = c.offsets[:0], c.bytes[:0]
	}
	return nil
}

// end writes the block without pieces.
func (b *blockWriter) end() error {
	if err := b.flush(); err != nil {
		return err
	}
	_, err := b.w.Write(make([]byte, 12))
	return err
}
