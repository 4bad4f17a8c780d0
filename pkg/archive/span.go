package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// row is one leaf in a span's file. The first six columns are the leaf; leaf_hash and
// what comes after it is made of them, for those who query the files.
type row struct {
	Sequence int64  `parquet:"sequence,delta"`
	Gap      bool   `parquet:"gap"`
	StoredNS int64  `parquet:"stored_ns,delta"`
	Subject  string `parquet:"subject,dict"`
	Headers  string `parquet:"headers"`
	Payload  []byte `parquet:"payload"`

	LeafHash [sha256.Size]byte `parquet:"leaf_hash"`

	Stored  int64  `parquet:"stored,timestamp(microsecond),delta"`
	Table   string `parquet:"table,dict"`
	Service string `parquet:"service,dict"`
	Event   string `parquet:"event,dict"`
	ID      string `parquet:"id"`
	File    string `parquet:"file,dict"`
	Actor   string `parquet:"actor,dict"`
	Cause   string `parquet:"cause"`
}

// newRow fills a row from a leaf. An event that cannot be decoded leaves the columns
// empty that are made of its payload: the leaf is what counts.
func newRow(l Leaf, hash []byte) (row, error) {
	r := row{Sequence: int64(l.Seq), Gap: l.Gap} //nolint:gosec // sequences count up from 1
	copy(r.LeafHash[:], hash)
	if l.Gap {
		return r, nil
	}
	headers, err := headersText(l.Header)
	if err != nil {
		return r, err
	}
	r.StoredNS, r.Subject, r.Headers, r.Payload = l.Stored.UnixNano(), l.Subject, headers, l.Data
	r.Stored = l.Stored.UnixMicro()
	if addr, err := eventlog.ParseSubject(l.Subject); err == nil {
		r.Table, r.Service, r.Event = addr.Table.String(), addr.Service, addr.Event
	}
	if env, err := eventlog.Decode(l.Data); err == nil {
		r.ID, r.File, r.Actor, r.Cause = env.GetId(), env.GetCorrelation(), env.GetActor(), env.GetCause()
	}
	return r, nil
}

// leaf gives back what newRow was given.
func (r row) leaf() (Leaf, error) {
	l := Leaf{Gap: r.Gap}
	l.Seq = uint64(r.Sequence) //nolint:gosec // see newRow
	if r.Gap {
		return l, nil
	}
	header, err := parseHeaders(r.Headers)
	l.Stored, l.Subject, l.Header, l.Data = time.Unix(0, r.StoredNS).UTC(), r.Subject, header, r.Payload
	return l, err
}

// headersText spells headers as JSON: a list of [name, value], a text that is no UTF-8
// as {"base64": …}.
func headersText(header map[string][]string) (string, error) {
	list := make([][2]any, 0, len(header))
	for _, p := range pairs(header) {
		list = append(list, [2]any{exact(p[0]), exact(p[1])})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(list); err != nil {
		return "", fmt.Errorf("spell the headers: %w", err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

type inBase64 struct {
	Base64 []byte `json:"base64"`
}

func exact(s string) any {
	if utf8.ValidString(s) {
		return s
	}
	return inBase64{[]byte(s)}
}

func parseHeaders(text string) (map[string][]string, error) {
	var plain [][2]string // nearly always
	if err := json.Unmarshal([]byte(text), &plain); err == nil {
		return headerOf(plain), nil
	}
	var list [][2]json.RawMessage
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("read the headers: %w", err)
	}
	out := make([][2]string, len(list))
	for i, p := range list {
		for j, raw := range p {
			var bytes inBase64
			if err := json.Unmarshal(raw, &out[i][j]); err != nil {
				if err := json.Unmarshal(raw, &bytes); err != nil {
					return nil, fmt.Errorf("read the headers: %w", err)
				}
				out[i][j] = string(bytes.Base64)
			}
		}
	}
	return headerOf(out), nil
}

// spanInfo stands in the metadata of a span's file, under spanInfoKey.
type spanInfo struct {
	Format string `json:"format"`
	Origin string `json:"origin"`
	Number uint64 `json:"number"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	// Frontier is that of the tree at the end of the span: the writer goes on from it.
	Frontier [][]byte `json:"frontier"`
}

const (
	spanInfoKey = "blotter.span"
	spanFormat  = "blotter-archive/v1"
	// rowsPerGroup bounds the rows that are decoded at once.
	rowsPerGroup = 1 << 14
	readBatch    = 128
	// maxSpanFile bounds a span's file, which is held in memory whole: it is hashed
	// before anything in it is believed.
	maxSpanFile = 256 << 20
)

// spanWriter builds the file of one span in memory; see Config for its bounds.
type spanWriter struct {
	span  Span
	tree  *tree // of all leaves up to here
	buf   bytes.Buffer
	w     *parquet.GenericWriter[row]
	bytes int
}

func newSpanWriter(number, first uint64, t *tree) *spanWriter {
	s := &spanWriter{span: Span{Number: number, First: first, Last: first - 1}, tree: t}
	s.w = parquet.NewGenericWriter[row](&s.buf, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("blotter", "1", "audit"),
		parquet.MaxRowsPerRowGroup(rowsPerGroup))
	return s
}

// add takes the next leaf.
func (s *spanWriter) add(l Leaf) error {
	if l.Seq != s.span.Last+1 || l.Index() != s.tree.size() {
		return fmt.Errorf("leaf of sequence %d after %d: the writer is wrong", l.Seq, s.span.Last)
	}
	encoded := l.Append(nil)
	hash := hashLeaf(encoded)
	r, err := newRow(l, hash)
	if err != nil {
		return fmt.Errorf("event at sequence %d: %w", l.Seq, err)
	}
	if _, err := s.w.Write([]row{r}); err != nil {
		return fmt.Errorf("write event %d: %w", l.Seq, err)
	}
	s.span.note(l)
	s.bytes += len(encoded)
	return s.tree.append(hash)
}

// note takes a leaf into what the span says of itself.
func (s *Span) note(l Leaf) {
	s.Last = l.Seq
	if l.Gap {
		return
	}
	if s.Oldest.IsZero() || l.Stored.Before(s.Oldest) {
		s.Oldest = l.Stored
	}
	if l.Stored.After(s.Newest) {
		s.Newest = l.Stored
	}
}

// finish gives the file.
func (s *spanWriter) finish(origin string) ([]byte, error) {
	info, err := json.Marshal(spanInfo{spanFormat, origin, s.span.Number, s.span.First, s.span.Last, s.tree.frontier()})
	if err != nil {
		return nil, fmt.Errorf("describe span %d: %w", s.span.Number, err)
	}
	s.w.SetKeyValueMetadata(spanInfoKey, string(info))
	if err := s.w.Close(); err != nil {
		return nil, fmt.Errorf("write span %d: %w", s.span.Number, err)
	}
	s.span.SHA256 = sha256.Sum256(s.buf.Bytes())
	return s.buf.Bytes(), nil
}

// spanFile is the file of a span, opened. Nothing in it is believed but by its hash.
type spanFile struct {
	file *parquet.File
	info spanInfo
}

// openSpan opens a file whose bytes are known to be what was written.
func openSpan(b []byte) (*spanFile, error) {
	file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("open the Parquet file: %w", err)
	}
	return describeSpan(file)
}

func describeSpan(file *parquet.File) (*spanFile, error) {
	s := &spanFile{file: file}
	text, _ := file.Lookup(spanInfoKey)
	if err := json.Unmarshal([]byte(text), &s.info); err != nil {
		return nil, fmt.Errorf("its metadata %s: %w", spanInfoKey, err)
	}
	if s.info.Format != spanFormat {
		return nil, fmt.Errorf("its form is %q, this program knows %q", s.info.Format, spanFormat)
	}
	return s, nil
}

// rows yields the rows in order; a row's values are its own.
func (f *spanFile) rows() iter.Seq2[row, error] { return readRows[row](f.file) }

func readRows[T any](file *parquet.File) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		r := parquet.NewGenericReader[T](file)
		defer r.Close()
		for {
			batch := make([]T, readBatch)
			n, err := r.Read(batch)
			for _, one := range batch[:n] {
				if !yield(one, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(none, err)
				return
			}
		}
	}
}

// keyOfSpan and keyOfCheckpoint name the two objects of a span.
func keyOfSpan(number uint64) string       { return fmt.Sprintf("%s%012d.parquet", spansPrefix, number) }
func keyOfCheckpoint(number uint64) string { return fmt.Sprintf("%s%012d", checkpointsPrefix, number) }

const (
	spansPrefix       = "spans/"
	checkpointsPrefix = "checkpoints/"
	// publishedKeys holds the verifier keys that the writer has used, for those who
	// only look: who wants proof brings his own.
	publishedKeys = "verifier-keys/"
)
