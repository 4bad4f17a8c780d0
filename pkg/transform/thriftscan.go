package transform

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// errThriftShort: the bytes end before the structure does.
var errThriftShort = errors.New("it ends early")

// maxThriftDepth bounds how deep structures of Parquet's metadata are nested;
// they need six levels.
const maxThriftDepth = 16

// thriftScan walks a structure in Thrift's compact protocol without making
// anything of it. What it passes can be decoded: no string or list in it claims
// more than there is, and it is nested no deeper than metadata are. A decoder
// that believed such claims would ask for memory that no machine has, or for a
// stack that no process has, and neither ends in a panic that can be caught.
type thriftScan struct {
	b     []byte
	at    int
	items int // that may yet come
}

// scanThrift gives the length of the structure that b begins with; it has at
// most maxItems lists' elements and nested structures.
func scanThrift(b []byte, maxItems int) (int, error) {
	s := thriftScan{b: b, items: maxItems}
	err := s.structure(maxThriftDepth)
	return s.at, err
}

func (s *thriftScan) structure(depth int) error {
	if err := s.item(1); err != nil {
		return err
	}
	if depth == 0 {
		return errors.New("it is nested too deep")
	}
	for {
		head, err := s.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 { // the field's number follows
			if _, err := s.varint(); err != nil {
				return err
			}
		}
		if err := s.field(head&0x0f, depth); err != nil {
			return err
		}
	}
}

// The types of the compact protocol.
const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
	thriftUUID
)

func (s *thriftScan) field(typ byte, depth int) error {
	switch typ {
	case thriftTrue, thriftFalse:
		return nil // the type is the value
	}
	return s.value(typ, depth)
}

func (s *thriftScan) value(typ byte, depth int) error {
	switch typ {
	case thriftTrue, thriftFalse, thriftByte:
		return s.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := s.varint()
		return err
	case thriftDouble:
		return s.skip(8)
	case thriftUUID:
		return s.skip(16)
	case thriftBinary:
		n, err := s.varint()
		if err != nil {
			return err
		}
		return s.skip(n)
	case thriftList, thriftSet:
		return s.list(depth)
	case thriftMap:
		return s.entries(depth)
	case thriftStruct:
		return s.structure(depth - 1)
	}
	return fmt.Errorf("it has a value of the unknown type %d", typ)
}

func (s *thriftScan) list(depth int) error {
	head, err := s.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = s.varint(); err != nil {
			return err
		}
	}
	return s.values(n, depth, head&0x0f)
}

func (s *thriftScan) entries(depth int) error {
	n, err := s.varint()
	if err != nil || n == 0 {
		return err
	}
	types, err := s.byte()
	if err != nil {
		return err
	}
	return s.values(n, depth, types>>4, types&0x0f)
}

// values walks n times a value of each type.
func (s *thriftScan) values(n uint64, depth int, types ...byte) error {
	if depth == 0 {
		return errors.New("it is nested too deep")
	}
	if err := s.item(n); err != nil {
		return err
	}
	for range n {
		for _, typ := range types {
			if err := s.value(typ, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *thriftScan) item(n uint64) error {
	if n > uint64(s.items) {
		return errors.New("it has more parts than any file needs")
	}
	s.items -= int(n)
	return nil
}

func (s *thriftScan) byte() (byte, error) {
	if s.at == len(s.b) {
		return 0, errThriftShort
	}
	s.at++
	return s.b[s.at-1], nil
}

func (s *thriftScan) skip(n uint64) error {
	if n > uint64(len(s.b)-s.at) {
		return errThriftShort
	}
	s.at += int(n)
	return nil
}

func (s *thriftScan) varint() (uint64, error) {
	v, n := binary.Uvarint(s.b[s.at:])
	switch {
	case n == 0:
		return 0, errThriftShort
	case n < 0:
		return 0, errors.New("it has a number of more than 64 bits")
	}
	s.at += n
	return v, nil
}
