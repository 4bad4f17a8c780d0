package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Span is one file of the archive: the leaves of the sequences First to Last.
type Span struct {
	Number      uint64 // from 0, without gaps
	First, Last uint64
	SHA256      [sha256.Size]byte // of the Parquet file, every byte of it
	// Oldest and Newest bound the times of its events; zero if it holds only gaps.
	Oldest, Newest time.Time
}

// Checkpoint says what the archive is up to the end of a span: the size and the root
// of the tree of all leaves so far. It is signed in the form of C2SP tlog-checkpoint.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   [sha256.Size]byte
	Span   Span
}

// text is the signed text. Its first three lines are those of every checkpoint of a
// transparency log; the two lines of extension bind the file of the span to it.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\nspan %d %d %d %s\nstored %s %s\n", c.Origin, c.Size,
		base64.StdEncoding.EncodeToString(c.Root[:]),
		c.Span.Number, c.Span.First, c.Span.Last, hex.EncodeToString(c.Span.SHA256[:]),
		timeText(c.Span.Oldest), timeText(c.Span.Newest))
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// Sign gives the checkpoint as a signed note.
func (c Checkpoint) Sign(signer note.Signer) ([]byte, error) {
	b, err := note.Sign(&note.Note{Text: c.text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of span %d: %w", c.Span.Number, err)
	}
	return b, nil
}

// ErrNotSigned: a checkpoint has no signature of a key that is believed.
var ErrNotSigned = errors.New("none of the keys given has signed it, or it was changed since")

// maxCheckpoint bounds the bytes of a signed checkpoint.
const maxCheckpoint = 1 << 16

// OpenCheckpoint reads a checkpoint that one of the keys has signed. Every byte counts:
// one that the writer of the archive would not have written as it stands is refused.
func OpenCheckpoint(signed []byte, keys note.Verifiers) (Checkpoint, error) {
	n, c, err := openNote(signed, keys)
	if err != nil {
		return c, err
	}
	// Base64 can spell the same signature in several ways, and a note may carry
	// lines that nobody checks.
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 || !bytes.Equal(signed, spell(n)) {
		return c, errors.New("it holds more than a checkpoint and the signature of its key, or spells them in another way")
	}
	return c, nil
}

// OpenKept reads a checkpoint that somebody keeps: others may have signed it, too.
func OpenKept(signed []byte, keys note.Verifiers) (Checkpoint, error) {
	_, c, err := openNote(signed, keys)
	return c, err
}

func openNote(signed []byte, keys note.Verifiers) (*note.Note, Checkpoint, error) {
	n, err := note.Open(signed, keys)
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		return nil, Checkpoint{}, ErrNotSigned
	case err != nil:
		return nil, Checkpoint{}, fmt.Errorf("its signature: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	return n, c, err
}

// spell writes the note as note.Sign does.
func spell(n *note.Note) []byte {
	var b bytes.Buffer
	b.WriteString(n.Text + "\n")
	for _, s := range n.Sigs {
		raw, err := base64.StdEncoding.DecodeString(s.Base64)
		if err != nil {
			return nil
		}
		b.WriteString("— " + s.Name + " " + base64.StdEncoding.EncodeToString(raw) + "\n")
	}
	return b.Bytes()
}

// parseCheckpoint reads what text wrote, and nothing else.
func parseCheckpoint(text string) (Checkpoint, error) {
	var c Checkpoint
	refused := errors.New("it is no checkpoint of an archive of events")
	lines := strings.Split(text, "\n")
	if len(lines) != 6 {
		return c, refused
	}
	c.Origin = lines[0]
	size, err := strconv.ParseUint(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	span, stored := strings.Split(lines[3], " "), strings.Split(lines[4], " ")
	if err != nil || err2 != nil || len(root) != len(c.Root) || len(span) != 5 || len(stored) != 3 {
		return c, refused
	}
	c.Size = size
	copy(c.Root[:], root)
	for i, to := range []*uint64{&c.Span.Number, &c.Span.First, &c.Span.Last} {
		if *to, err = strconv.ParseUint(span[i+1], 10, 64); err != nil {
			return c, refused
		}
	}
	sum, err := hex.DecodeString(span[4])
	if err != nil || len(sum) != len(c.Span.SHA256) {
		return c, refused
	}
	copy(c.Span.SHA256[:], sum)
	for i, to := range []*time.Time{&c.Span.Oldest, &c.Span.Newest} {
		if stored[i+1] == "-" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339Nano, stored[i+1]); err != nil {
			return c, refused
		}
	}
	if c.text() != text || c.Span.Last != c.Size || c.Span.First == 0 || c.Span.First > c.Span.Last {
		return c, refused
	}
	return c, nil
}
