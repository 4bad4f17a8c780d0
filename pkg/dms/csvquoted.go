package dms

import (
	"bytes"
	"io"
)

// span is a field of a record that is still being read, relative to the
// record's start: the buffer may move under it.
type span struct {
	from, to int
	quoted   bool
}

// ending is what ends a field.
type ending uint8

const (
	endField ending = iota
	endRecord
)

// readQuoted reads one record that holds quotes somewhere. Doubled quotes are
// undone in the buffer itself.
func (c *CSVReader) readQuoted() (Record, error) {
	c.spans = c.spans[:0]
	at := 0 // where the next field begins, relative to start
	for {
		next, end, err := c.readField(at)
		if err != nil {
			return Record{}, err
		}
		at = next
		if end == endRecord {
			break
		}
	}
	c.fields = c.fields[:0]
	record := c.buf[c.start:c.end]
	for _, s := range c.spans {
		c.fields = append(c.fields, Field{Text: record[s.from:s.to:s.to], Quoted: s.quoted})
	}
	offset := c.base + int64(c.start)
	c.start += at
	c.row++
	return Record{fields: c.fields, row: c.row, offset: offset, bad: c.bad}, nil
}

// readField reads the field at `at` and tells where the next one begins.
func (c *CSVReader) readField(at int) (next int, end ending, err error) {
	if ok, err := c.have(at); err != nil {
		return 0, endField, err
	} else if !ok {
		return at, endRecord, c.keep(span{from: at, to: at}, at)
	}
	if c.buf[c.start+at] == '"' {
		return c.readQuotedField(at)
	}
	return c.readPlainField(at)
}

func (c *CSVReader) readPlainField(at int) (next int, end ending, err error) {
	p := at
	for {
		b, comma := c.buf[c.start:c.end], c.comma
		for p < len(b) && b[p] != comma && b[p] != '\n' && b[p] != '"' {
			p++
		}
		if p < len(b) {
			break
		}
		if ok, err := c.have(p); err != nil {
			return 0, endField, err
		} else if !ok {
			return p, endRecord, c.keep(span{from: at, to: c.withoutCR(at, p)}, at)
		}
	}
	switch c.buf[c.start+p] {
	case '"':
		return 0, endField, c.faultAt(CSVBareQuote, p)
	case '\n':
		return p + 1, endRecord, c.keep(span{from: at, to: c.withoutCR(at, p)}, at)
	}
	return p + 1, endField, c.keep(span{from: at, to: p}, at)
}

// withoutCR gives the end of the field at [at, p) without the CR of a CRLF.
func (c *CSVReader) withoutCR(at, p int) int {
	if p > at && c.buf[c.start+p-1] == '\r' {
		return p - 1
	}
	return p
}

func (c *CSVReader) readQuotedField(at int) (next int, end ending, err error) {
	read, write := at+1, at+1 // bytes at write are text, those before read are used up
	for {
		b := c.buf[c.start:c.end]
		n := bytes.IndexByte(b[read:], '"')
		found := n >= 0
		if !found {
			n = len(b) - read
		}
		if write != read {
			copy(b[write:], b[read:read+n])
		}
		read, write = read+n, write+n
		if write-at-1 > c.maxField {
			return 0, endField, c.faultAt(CSVFieldSize, at)
		}
		if !found {
			if ok, err := c.have(read); err != nil {
				return 0, endField, err
			} else if !ok {
				return 0, endField, c.faultAt(CSVUnclosedQuote, at)
			}
			continue
		}
		read++
		if ok, err := c.have(read); err != nil {
			return 0, endField, err
		} else if ok && c.buf[c.start+read] == '"' {
			c.buf[c.start+write] = '"'
			read, write = read+1, write+1
			continue
		}
		if err := c.keep(span{from: at + 1, to: write, quoted: true}, at); err != nil {
			return 0, endField, err
		}
		return c.afterQuote(read)
	}
}

// afterQuote reads what may follow a closing quote: a delimiter, a line end or
// the end of the file.
func (c *CSVReader) afterQuote(at int) (next int, end ending, err error) {
	ok, err := c.have(at)
	if err != nil || !ok {
		return at, endRecord, err
	}
	switch c.buf[c.start+at] {
	case c.comma:
		return at + 1, endField, nil
	case '\n':
		return at + 1, endRecord, nil
	case '\r':
		ok, err := c.have(at + 1)
		if err != nil || !ok {
			return at + 1, endRecord, err
		}
		if c.buf[c.start+at+1] == '\n' {
			return at + 2, endRecord, nil
		}
	}
	c.spans = c.spans[:len(c.spans)-1] // the fault belongs to the field just read
	return 0, endField, c.faultAt(CSVTextAfter, at)
}

// have makes sure that the byte at `at`, relative to the record's start, is in
// the buffer; false means that the file ends before it.
func (c *CSVReader) have(at int) (bool, error) {
	for c.start+at >= c.end {
		switch {
		case c.srcErr == io.EOF:
			return false, nil
		case c.srcErr != nil:
			return false, c.readError()
		}
		if err := c.fill(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// keep adds a field to the record, if its text is valid.
func (c *CSVReader) keep(s span, at int) error {
	text := c.buf[c.start+s.from : c.start+s.to]
	if len(text) > c.maxField {
		return c.faultAt(CSVFieldSize, at)
	}
	if err := c.checkText(text, len(c.spans), c.base+int64(c.start)+int64(at)); err != nil {
		return err
	}
	if len(c.spans) == maxFields {
		return c.faultAt(CSVRecordSize, at)
	}
	c.spans = append(c.spans, s)
	return nil
}

func (c *CSVReader) faultAt(code CSVCode, at int) error {
	return c.fault(code, len(c.spans), c.base+int64(c.start)+int64(at))
}
