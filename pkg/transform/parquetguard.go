package transform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// What a Parquet file may ask for.
const (
	// maxFooter bounds the footer. That of a file of 1 GiB as DMS writes it has
	// some two megabytes.
	maxFooter = 32 << 20
	// maxFooterItems bounds the parts of a footer, each of which takes some hundred
	// bytes once it is decoded.
	maxFooterItems = 1 << 19
	// maxPageHeader bounds the header of one page. It is long if it holds statistics
	// of long values.
	maxPageHeader = 16 << 20
	// maxGroupMemory bounds what the pages of a row group that are held at once may
	// need: of each column its dictionary and one page. A group that needs more is
	// read column by column (see wideGroup), of which each must stay below it.
	maxGroupMemory = 256 << 20
	// runSlack is how many values more than a page has its runs may hold, since
	// they are packed in groups.
	runSlack = 512
)

// parquetGuard looks at metadata and pages of a Parquet file before the library
// that decodes them does. The library believes the sizes and counts that stand
// in them: a forged one of a few bytes would have it ask for more memory than
// there is, which ends the process. The guard refuses such a file as damaged.
type parquetGuard struct {
	r      io.ReaderAt
	size   int64
	limit  int64  // see maxGroupMemory
	head   []byte // of a page
	packed []byte // a page as it stands in the file
	unpack unpacker
	// booleans, by column, are those of the row group that was looked at last which the
	// library would decode wrongly; nil: none.
	booleans []*booleans
}

// footer checks what opening the file decodes.
func (g *parquetGuard) footer() error {
	var tail [8]byte
	if g.size < 12 {
		return errors.New("it is too short to be one")
	}
	if err := readFull(g.r, tail[:4], 0); err != nil {
		return err
	}
	if string(tail[:4]) != "PAR1" { // the library would show what stands there
		return errors.New("it does not begin as one")
	}
	if err := readFull(g.r, tail[:], g.size-8); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("it does not end as one, or is encrypted")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > g.size-12 || n > maxFooter {
		return fmt.Errorf("its footer has %d bytes, the file %d: at most %d are expected", n, g.size, maxFooter)
	}
	footer := make([]byte, n)
	if err := readFull(g.r, footer, g.size-8-n); err != nil {
		return err
	}
	if _, err := scanThrift(footer, maxFooterItems); err != nil {
		return fmt.Errorf("its footer is damaged: %w", err)
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// group checks all pages of a row group. It gives the bytes that a row of it has, by
// the page whose values are longest on average; wide tells that the pages of all
// columns are too much to be held at once.
func (g *parquetGuard) group(rg *format.RowGroup, fields []parquet.Field) (row int64, wide bool, err error) {
	if len(rg.Columns) != len(fields) {
		return 0, false, fmt.Errorf("a row group has %d columns, the schema %d", len(rg.Columns), len(fields))
	}
	var memory int64
	g.booleans = make([]*booleans, len(fields))
	for i := range rg.Columns {
		c := chunkGuard{parquetGuard: g, meta: &rg.Columns[i].MetaData, field: fields[i]}
		if err := c.walk(); err != nil {
			return 0, false, fmt.Errorf("column %s: %w", fields[i].Name(), err)
		}
		need := c.dictionary + c.page
		if c.booleans.runs {
			if c.booleans.other {
				return 0, false, &unreadError{what: fmt.Sprintf("column %s: pages of booleans in several encodings", fields[i].Name()), expected: "booleans in one encoding"}
			}
			g.booleans[i] = &c.booleans
			need += c.booleans.held
		}
		if need > g.limit {
			// The file may be whole: a page of very many or very long values is not damage.
			return 0, false, &unreadError{what: fmt.Sprintf("column %s: a page of it needs more than %d MiB", fields[i].Name(), g.limit>>20), expected: "smaller pages"}
		}
		memory = min(memory+need, g.limit+1)
		row += c.value
	}
	return row, memory > g.limit, nil
}

// chunkGuard walks the pages of one column in a row group.
type chunkGuard struct {
	*parquetGuard
	meta       *format.ColumnMetaData
	field      parquet.Field
	dictionary int64 // memory of the dictionary
	page       int64 // memory of the largest page
	value      int64 // bytes of a value, on average of the page where it is longest
	booleans   booleans
}

func (c *chunkGuard) walk() error {
	at := c.meta.DataPageOffset
	if c.meta.DictionaryPageOffset != 0 {
		at = c.meta.DictionaryPageOffset
	}
	if at < 0 || c.meta.TotalCompressedSize < 0 || at > c.size || c.meta.TotalCompressedSize > c.size-at {
		return errors.New("its pages lie outside of the file")
	}
	for end := at + c.meta.TotalCompressedSize; at < end; {
		header, n, err := c.header(at, end)
		if err != nil {
			return fmt.Errorf("the header of a page is damaged: %w", err)
		}
		at += int64(n)
		size := int64(header.CompressedPageSize)
		if size < 0 || size > end-at || size > c.limit || header.UncompressedPageSize < 0 || int64(header.UncompressedPageSize) > c.limit {
			return fmt.Errorf("a page claims %d bytes, %d uncompressed", size, header.UncompressedPageSize)
		}
		c.packed = grown(c.packed, int(size))
		if err := readFull(c.r, c.packed, at); err != nil {
			return err
		}
		at += size
		if err := c.check(header, c.packed); err != nil {
			return err
		}
	}
	return nil
}

// header decodes the header of a page that begins at `at`, and gives its length.
func (c *chunkGuard) header(at, end int64) (*format.PageHeader, int, error) {
	for window := int64(1 << 10); ; window *= 8 {
		c.head = grown(c.head, int(min(window, end-at)))
		if err := readFull(c.r, c.head, at); err != nil {
			return nil, 0, err
		}
		n, err := scanThrift(c.head, maxFooterItems)
		if errors.Is(err, errThriftShort) && window < end-at && window < maxPageHeader {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		var protocol thrift.CompactProtocol
		header := new(format.PageHeader)
		return header, n, thrift.NewDecoder(protocol.NewReaderFromBytes(c.head[:n])).Decode(header)
	}
}

// plainDictionary is the dictionary encoding of Parquet 1.0, which DMS writes.
const plainDictionary = format.PlainDictionary //nolint:staticcheck // deprecated for writers alone

// check looks into one page.
func (c *chunkGuard) check(h *format.PageHeader, data []byte) error {
	switch h.Type {
	case format.DictionaryPage:
		d := h.DictionaryPageHeader
		if !d.Valid || d.V.NumValues < 0 || d.V.Encoding != format.Plain && d.V.Encoding != plainDictionary {
			return errors.New("its dictionary is not plain")
		}
		plain, err := c.unpack.unpack(c.meta.Codec, data, c.limit)
		c.dictionary += c.cost(h, data, plain, int64(d.V.NumValues))
		return err
	case format.DataPage:
		d := h.DataPageHeader
		if !d.Valid || d.V.NumValues < 0 {
			return errors.New("a page does not say what it holds")
		}
		plain, err := c.unpack.unpack(c.meta.Codec, data, c.limit)
		if err != nil {
			return err
		}
		return c.dataV1(h, data, plain, &d.V)
	case format.DataPageV2:
		d := h.DataPageHeaderV2
		if !d.Valid || d.V.NumValues < 0 {
			return errors.New("a page does not say what it holds")
		}
		return c.dataV2(h, data, &d.V)
	}
	return fmt.Errorf("it has a page of the unknown type %d", h.Type)
}

func (c *chunkGuard) dataV1(h *format.PageHeader, data, plain []byte, d *format.DataPageHeader) error {
	values, present := plain, int64(d.NumValues)
	if c.field.Optional() {
		if len(plain) < 4 {
			return errors.New("a page ends in its levels")
		}
		n := int64(binary.LittleEndian.Uint32(plain))
		if n > int64(len(plain)-4) {
			return errors.New("a page ends in its levels")
		}
		if d.DefinitionLevelEncoding == format.RLE {
			if err := checkRuns(plain[4:4+n], 1, int64(d.NumValues)); err != nil {
				return err
			}
		} else if c.isBoolean() {
			return &unreadError{what: "levels in encoding " + d.DefinitionLevelEncoding.String(), expected: "levels in run-length encoding"}
		}
		if values = plain[4+n:]; c.isBoolean() {
			var err error
			if present, err = ones(plain[4:4+n], present); err != nil {
				return err
			}
		}
	}
	c.note(h, data, plain, int64(d.NumValues))
	return c.values(d.Encoding, values, int64(d.NumValues), present)
}

func (c *chunkGuard) isBoolean() bool { return c.field.Type().Kind() == parquet.Boolean }

func (c *chunkGuard) dataV2(h *format.PageHeader, data []byte, d *format.DataPageHeaderV2) error {
	repetition, definition := int64(d.RepetitionLevelsByteLength), int64(d.DefinitionLevelsByteLength)
	if repetition < 0 || definition < 0 || repetition+definition > int64(len(data)) {
		return errors.New("a page ends in its levels")
	}
	present := int64(d.NumValues)
	if c.field.Optional() {
		levels := data[repetition : repetition+definition]
		if err := checkRuns(levels, 1, present); err != nil {
			return err
		}
		if c.isBoolean() {
			var err error
			if present, err = ones(levels, present); err != nil {
				return err
			}
		}
	}
	plain := data[repetition+definition:]
	if !d.IsCompressed.Valid || d.IsCompressed.V {
		var err error
		if plain, err = c.unpack.unpack(c.meta.Codec, plain, c.limit); err != nil {
			return err
		}
	}
	c.note(h, data, plain, int64(d.NumValues))
	return c.values(d.Encoding, plain, int64(d.NumValues), present)
}

// note keeps in mind what a data page needs.
func (c *chunkGuard) note(h *format.PageHeader, packed, plain []byte, values int64) {
	c.page = max(c.page, c.cost(h, packed, plain, values))
	if values > 0 {
		c.value = max(c.value, int64(len(plain))/values)
	}
}

// cost is what a page needs: as it stands in the file, unpacked, and decoded with
// the level and the offset of each value.
func (c *chunkGuard) cost(h *format.PageHeader, packed, plain []byte, values int64) int64 {
	width := int64(8)
	if t := c.field.Type(); t.Kind() == parquet.FixedLenByteArray {
		width = max(width, int64(t.Length()))
	} else if t.Kind() == parquet.Int96 {
		width = 12
	}
	return int64(len(packed)) + max(int64(len(plain)), int64(h.UncompressedPageSize)) + values*(width+5)
}

// values checks the encoded values of a data page of n values, of which so many are
// present: not null.
func (c *chunkGuard) values(encoding format.Encoding, b []byte, n, present int64) error {
	if c.isBoolean() {
		if err := c.booleans.add(encoding, b, present); err != nil {
			return err
		}
	}
	switch encoding {
	case format.Plain, format.ByteStreamSplit:
		return nil // as many as there are bytes for
	case plainDictionary, format.RLEDictionary:
		if len(b) == 0 {
			return nil
		}
		return checkRuns(b[1:], int64(b[0]), n)
	case format.RLE:
		if len(b) < 4 {
			return nil
		}
		return checkRuns(b[4:], 1, n)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray:
		return checkDeltas(b, n)
	}
	return &unreadError{what: "encoding " + encoding.String(), expected: "values in plain, dictionary, run-length, delta or byte stream split encoding"}
}

// unreadError: a file may be whole, but has pages that are not read.
type unreadError struct{ what, expected string }

func (e *unreadError) Error() string { return e.what }

// checkRuns adds up the values that the runs of the hybrid encoding claim.
func checkRuns(b []byte, bits, most int64) error {
	most += runSlack
	for len(b) > 0 {
		u, n := binary.Uvarint(b)
		if n <= 0 || bits > 32 {
			return errors.New("a page has damaged runs")
		}
		b = b[n:]
		count, bytes := u>>1, uint64((bits+7)/8)
		if u&1 != 0 { // groups of eight values
			if count > uint64(len(b)) {
				count = uint64(len(b)) + 1 // too many, without overflow
			}
			bytes = count * uint64(bits)
			count *= 8
		}
		if count > uint64(most) {
			return errors.New("the runs of a page hold more values than it has")
		}
		most -= int64(count)
		b = b[min(bytes, uint64(len(b))):]
	}
	return nil
}

// checkDeltas checks the count in the header of delta-encoded numbers: block
// size, parts of a block, values.
func checkDeltas(b []byte, most int64) error {
	for i := range 3 {
		u, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("a page has a damaged header of deltas")
		}
		if i == 1 && u > 1<<16 || i == 2 && u > uint64(most) {
			return errors.New("the deltas of a page hold more values than it has")
		}
		b = b[n:]
	}
	return nil
}

// grown gives n bytes, in buf if it has room.
func grown(buf []byte, n int) []byte {
	if cap(buf) < n {
		return make([]byte, n)
	}
	return buf[:n]
}
