package archive

import (
	"bytes"

	"github.com/openblotter/blotter/pkg/transform"
)

// diagnose says what is wrong with a span's file whose hash is not the one that was
// signed. What cannot be told is not guessed; live may be nil.
func diagnose(b []byte, c Checkpoint, live *cursor) (err error) {
	key := keyOfSpan(c.Span.Number)
	const changed = "its bytes are not those whose hash was signed"
	var at uint64
	defer func() {
		if p := recover(); p != nil {
			err = wrong(key, at, changed+", and it cannot be read from there on")
		}
	}()
	file, openErr := transform.OpenUntrusted(bytes.NewReader(b), int64(len(b)))
	if openErr != nil {
		return wrong(key, 0, changed+", and it cannot be read: %s", openErr)
	}
	if rows, want := file.NumRows(), int64(c.Span.Last+1-c.Span.First); rows != want { //nolint:gosec // bounded by Config
		return wrong(key, 0, changed+": it has %d leaves, %d were signed", rows, want)
	}
	at = c.Span.First
	differs := uint64(0) // the first leaf that does not give the hash beside it
	for r, err := range readRows[row](file) {
		if err != nil {
			return wrong(key, at, changed+", and it cannot be read from there on: %s", err)
		}
		leaf, err := r.leaf()
		if err != nil || leaf.Seq != at {
			return wrong(key, at, changed+": there is another leaf in its place")
		}
		hash := leaf.Hash()
		said := r.LeafHash[:]
		of, there, err := live.leaf(at)
		if err != nil {
			return wrong(key, differs, changed+"; the log cannot be read to compare with it: %s", err)
		}
		if there {
			said = of.Hash()
		}
		if differs == 0 && !bytes.Equal(hash, said) {
			differs = at
		}
		at++
	}
	switch {
	case differs > 0:
		return wrong(key, differs, changed+": the event, or the hash beside it, was changed")
	case live != nil:
		return wrong(key, 0, changed+", though every event that the log still has is in it unchanged")
	}
	return wrong(key, 0, changed+", though each event gives the hash beside it: compare with the log (--against) to find which differ")
}
