package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// The first two bytes of a leaf: the version of its form, and what it is.
const (
	leafVersion = 1
	leafEvent   = 'E'
	leafGap     = 'G'
)

// Leaf is what stands at one sequence of the log: an event, or a gap where the log
// held none when it was archived.
type Leaf struct {
	eventlog.Raw
	Gap bool // only Seq is set then
}

// Index is the place of the leaf in the tree: leaf 0 is sequence 1.
func (l Leaf) Index() uint64 { return l.Seq - 1 }

// Append appends the bytes of the leaf, from which its hash is taken; see the
// documentation of the package for their form.
func (l Leaf) Append(dst []byte) []byte {
	kind := byte(leafEvent)
	if l.Gap {
		kind = leafGap
	}
	dst = append(dst, leafVersion, kind)
	dst = binary.BigEndian.AppendUint64(dst, l.Seq)
	if l.Gap {
		return dst
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(l.Stored.UnixNano())) //nolint:gosec // two's complement is the form
	dst = appendText(dst, l.Subject)
	headers := pairs(l.Header)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(headers))) //nolint:gosec // a message is small
	for _, h := range headers {
		dst = appendText(appendText(dst, h[0]), h[1])
	}
	return appendText(dst, string(l.Data))
}

// Hash is the RFC 6962 leaf hash.
func (l Leaf) Hash() []byte { return hashLeaf(l.Append(nil)) }

func hashLeaf(encoded []byte) []byte { return rfc6962.DefaultHasher.HashLeaf(encoded) }

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...) //nolint:gosec // a message is small
}

// pairs gives the headers by name (in the order of bytes), the values of each in theirs.
func pairs(header map[string][]string) [][2]string {
	var out [][2]string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			out = append(out, [2]string{name, value})
		}
	}
	return out
}

func headerOf(pairs [][2]string) map[string][]string {
	if len(pairs) == 0 {
		return nil
	}
	header := make(map[string][]string, len(pairs))
	for _, p := range pairs {
		header[p[0]] = append(header[p[0]], p[1])
	}
	return header
}

// ParseLeaf reads what Append wrote, and nothing else: bytes that Append would not
// have written are refused.
func ParseLeaf(b []byte) (Leaf, error) {
	var l Leaf
	r := leafReader{rest: b}
	version, kind := r.take(1), r.take(1)
	if r.err == nil && version[0] != leafVersion {
		return l, fmt.Errorf("a leaf of version %d, this program knows %d", version[0], leafVersion)
	}
	l.Seq = r.uint64()
	switch {
	case r.err != nil:
	case kind[0] == leafGap:
		l.Gap = true
	case kind[0] == leafEvent:
		l.Stored = time.Unix(0, int64(r.uint64())).UTC() //nolint:gosec // two's complement is the form
		l.Subject = r.text()
		var headers [][2]string
		for n := r.uint32(); n > 0 && r.err == nil; n-- {
			headers = append(headers, [2]string{r.text(), r.text()})
		}
		l.Header = headerOf(headers)
		l.Data = []byte(r.text())
	default:
		return l, fmt.Errorf("a leaf of kind %q", kind)
	}
	if r.err == nil && !bytes.Equal(l.Append(nil), b) {
		r.err = errors.New("a leaf that is not in its one form")
	}
	return l, r.err
}

// leafReader takes a leaf apart; after an error it gives nothing.
type leafReader struct {
	rest []byte
	err  error
}

func (r *leafReader) take(n int) []byte {
	if r.err == nil && (n < 0 || n > len(r.rest)) {
		r.err = errors.New("a leaf that ends too early")
	}
	if r.err != nil {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *leafReader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *leafReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *leafReader) text() string { return string(r.take(int(r.uint32()))) }
