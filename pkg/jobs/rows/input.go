package rows

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxDocument bounds a document on standard input, maxChange a change.
const (
	maxDocument = 256 << 20
	maxChange   = 1 << 30
)

// ReadDocument reads a length, four bytes little-endian, and as many bytes.
func ReadDocument(in io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, fmt.Errorf("read the length of a document: %w", err)
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxDocument {
		return nil, fmt.Errorf("a document of %d bytes is larger than %d", n, maxDocument)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(in, data); err != nil {
		return nil, fmt.Errorf("read a document: %w", err)
	}
	return data, nil
}

// changeReader reads changes that stand end to end: each begins with its length.
type changeReader struct {
	in  *bufio.Reader
	buf []byte
}

// next gives the next change, valid until the next call; nil at the end mark. Input
// that ends before the mark is a fault: its writer has died.
func (r *changeReader) next() ([]byte, error) {
	head, err := r.in.Peek(4)
	if err != nil {
		return nil, cutOff(err)
	}
	n := int(binary.LittleEndian.Uint32(head))
	if n == 0 {
		return nil, nil
	}
	if n < 4 || n > maxChange {
		return nil, fmt.Errorf("read sorted changes: one of %d bytes", n)
	}
	if n > cap(r.buf) {
		r.buf = make([]byte, n+n/4)
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return nil, cutOff(err)
	}
	return r.buf, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read sorted changes: %w", err)
}
