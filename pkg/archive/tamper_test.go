package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// TestEveryByteCounts flips bits in every object of an archive, one at a time, and has
// the whole archive verified each time: of one with one span every byte, of one with
// more a sample of each object. In a span's file, whose hash is taken whole, one bit of a
// byte; in the others, which are texts with their own spellings, each bit.
func TestEveryByteCounts(t *testing.T) {
	for _, c := range []struct {
		events, every int
		flips         int64 // at least
	}{{3, 1, 8_000}, {25, 41, 500}} {
		t.Run(fmt.Sprintf("%d events", c.events), func(t *testing.T) {
			t.Parallel()
			b, _, _, keys := archiveOf(t, c.events)
			var flips atomic.Int64
			var wg sync.WaitGroup
			for key, content := range b.data {
				const workers = 4
				for w := range workers {
					wg.Go(func() {
						for i := w * c.every; i < len(content); i += workers * c.every {
							flips.Add(flipByte(t, b, keys, key, i))
						}
					})
				}
			}
			wg.Wait()
			if n := flips.Load(); n < c.flips {
				t.Errorf("only %d flips", n)
			}
		})
	}
}

// flipByte flips bits of one byte and expects that the object is named.
func flipByte(t *testing.T, b *memBucket, keys Keys, key string, i int) (flips int64) {
	c := b.copyOf()
	changed := bytes.Clone(b.data[key])
	c.data[key] = changed
	bits := []byte{1, 2, 4, 8, 16, 32, 64, 128}
	if strings.HasPrefix(key, spansPrefix) {
		bits = bits[i%8 : i%8+1]
	}
	for _, bit := range bits {
		changed[i] ^= bit
		_, err := verify(t, c, keys)
		var w *Wrong
		if !errors.As(err, &w) || w.Object != key {
			t.Errorf("bit %d of byte %d of %s is flipped: %v", bit, i, key, err)
		}
		changed[i] ^= bit
		flips++
	}
	return flips
}

// TestCutsAndMoves changes the objects of an archive as wholes.
func TestCutsAndMoves(t *testing.T) {
	b, _, _, keys := archiveOf(t, 45)
	secret, _ := testKey(t)
	other, log := newMem(), newLog(t, 45)
	log.remove(15)
	write(t, other, log, secret)
	swap := func(a, z string) func(map[string][]byte) {
		return func(d map[string][]byte) { d[a], d[z] = d[z], d[a] }
	}
	drop := func(all ...string) func(map[string][]byte) {
		return func(d map[string][]byte) {
			maps.DeleteFunc(d, func(k string, _ []byte) bool { return slices.Contains(all, k) })
		}
	}
	set := func(key string, content []byte) func(map[string][]byte) {
		return func(d map[string][]byte) { d[key] = content }
	}
	span, point := keyOfSpan, keyOfCheckpoint
	for name, change := range map[string]func(map[string][]byte){
		"spans are swapped":                   swap(span(1), span(2)),
		"checkpoints are swapped":             swap(point(1), point(2)),
		"both are swapped":                    func(d map[string][]byte) { swap(span(1), span(2))(d); swap(point(1), point(2))(d) },
		"a span is repeated":                  set(span(2), b.data[span(1)]),
		"a span is missing":                   drop(span(1)),
		"the last span is missing":            drop(span(4)),
		"a checkpoint is missing":             drop(point(1)),
		"a span and its checkpoint are":       drop(span(1), point(1)),
		"the first span and its checkpoint":   drop(span(0), point(0)),
		"two checkpoints at the end":          drop(point(3), point(4)),
		"a span is of another archive":        set(span(1), other.data[span(1)]),
		"a checkpoint is of another archive":  set(point(1), other.data[point(1)]),
		"span and checkpoint are":             func(d map[string][]byte) { d[span(1)], d[point(1)] = other.data[span(1)], other.data[point(1)] },
		"a span is cut":                       set(span(3), b.data[span(3)][:len(b.data[span(3)])/2]),
		"a span is empty":                     set(span(3), nil),
		"something follows a span":            set(span(3), append(bytes.Clone(b.data[span(3)]), 0)),
		"a line follows a checkpoint":         set(point(3), append(bytes.Clone(b.data[point(3)]), "— test.example/log AAAAAAA=\n"...)),
		"something stands beside":             set("spans/notes.txt", []byte("x")),
		"something lies at the top":           set("README", []byte("x")),
		"another key is published":            set(publishedKeys+"0badc0de", []byte("evil+0badc0de+AAAA\n")),
		"a checkpoint is the one before":      set(point(4), b.data[point(3)]),
		"line ends of a checkpoint are other": set(point(4), bytes.ReplaceAll(b.data[point(4)], []byte("\n"), []byte("\r\n"))),
	} {
		c := b.copyOf()
		change(c.data)
		if _, err := verify(t, c, keys); !isWrong(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRollback: an archive that ends earlier is an archive; only a checkpoint that was
// kept tells, and it does.
func TestRollback(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 45)
	kept := [][]byte{b.data[keyOfCheckpoint(2)], b.data[keyOfCheckpoint(4)]}
	cut := b.copyOf()
	for _, n := range []uint64{3, 4} {
		delete(cut.data, keyOfSpan(n))
		delete(cut.data, keyOfCheckpoint(n))
	}
	if r, err := verify(t, cut, keys); err != nil || r.Size != 30 {
		t.Fatalf("a shorter archive: %+v, %v", r, err)
	}
	held := func(c *memBucket, kept ...[]byte) error {
		_, err := Verify{Bucket: c, Keys: keys, Kept: kept}.Run(t.Context())
		return err
	}
	if err := held(cut, kept...); !isWrong(err) || !strings.Contains(err.Error(), "sequence 30") {
		t.Errorf("a shorter archive, held to a checkpoint: %v", err)
	}
	if err := held(b, kept...); err != nil {
		t.Errorf("the whole archive: %v", err)
	}
	// The owner of the key signs another history.
	e := l.events[12]
	e.Subject = "blotter.0.rms.reports.curator.FileHeld"
	l.events[12] = e
	forged := newMem()
	write(t, forged, l, secret)
	if _, err := verify(t, forged, keys); err != nil {
		t.Fatalf("a history that was signed anew: %v", err)
	}
	if err := held(forged, kept...); !isWrong(err) || !strings.Contains(err.Error(), "signed anew") {
		t.Errorf("held to a checkpoint: %v", err)
	}
	// One that ends in the middle of a span is as good.
	cfg := smallSpans()
	cfg.MaxEvents = 7
	mid := newMem()
	l.events[12] = event(t, 12)
	if err := newTestWriter(t, cfg, mid, l, secret).Rest(t.Context(), func(Checkpoint) {}); err != nil {
		t.Fatal(err)
	}
	if err := held(mid, kept...); err != nil {
		t.Errorf("the same log in other spans: %v", err)
	}
	if err := held(b, []byte("nothing\n\n— a b\n")); err == nil || isWrong(err) {
		t.Errorf("a kept checkpoint that is none: %v", err)
	}
}

// rewrite gives the file of a span with its rows changed.
func rewrite(t *testing.T, b []byte, change func(*row)) []byte {
	t.Helper()
	f, err := openSpan(b)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[row](&out, parquet.Compression(&parquet.Zstd))
	text, _ := f.file.Lookup(spanInfoKey)
	w.SetKeyValueMetadata(spanInfoKey, text)
	for r, err := range f.rows() {
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		if _, err := w.Write([]row{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestTheWrongLeafIsNamed: where the bytes tell it, or the log does.
func TestTheWrongLeafIsNamed(t *testing.T) {
	b, l, _, keys := archiveOf(t, 45)
	key := keyOfSpan(2)
	for name, c := range map[string]struct {
		change  func(*row)
		alone   uint64 // named by the archive alone
		against uint64 // with the log
	}{
		"payload":          {func(r *row) { r.Payload[3] ^= 1 }, 24, 24},
		"time":             {func(r *row) { r.StoredNS++ }, 24, 24},
		"subject":          {func(r *row) { r.Subject += "x" }, 24, 24},
		"headers":          {func(r *row) { r.Headers = strings.Replace(r.Headers, `"a"`, `"A"`, 1) }, 24, 24},
		"sequence":         {func(r *row) { r.Sequence++ }, 24, 24},
		"gap":              {func(r *row) { r.Gap = true }, 24, 24},
		"hash beside it":   {func(r *row) { r.LeafHash[0]++ }, 24, 0},
		"readable columns": {func(r *row) { r.Table = "rms.people" }, 0, 0},
		"payload and hash": {func(r *row) {
			r.Payload[3] ^= 1
			leaf, err := r.leaf()
			if err != nil {
				t.Fatal(err)
			}
			copy(r.LeafHash[:], leaf.Hash())
		}, 0, 24},
	} {
		bad := b.copyOf()
		bad.data[key] = rewrite(t, b.data[key], func(r *row) {
			if r.Sequence == 24 {
				c.change(r)
			}
		})
		for _, against := range []Source{nil, l} {
			want := c.alone
			if against != nil {
				want = c.against
			}
			_, err := Verify{Bucket: bad, Keys: keys, Against: against}.Run(t.Context())
			var w *Wrong
			if !errors.As(err, &w) || w.Object != key || w.Seq != want {
				t.Errorf("%s is changed (log: %t): %v, expected sequence %d", name, against != nil, err, want)
			}
		}
	}
}

// TestAgainstTheLog compares each archived event with the log.
func TestAgainstTheLog(t *testing.T) {
	b, l, _, keys := archiveOf(t, 40)
	l.add(t)
	l.first = 6
	compare := func(l *memLog) (*Report, error) {
		return Verify{Bucket: b, Keys: keys, Against: l}.Run(t.Context())
	}
	if r, err := compare(l); err != nil || r.Compared != 35 || r.Unarchived != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for name, c := range map[string]struct {
		change func(*memLog)
		says   string
	}{
		"an event is gone":  {func(l *memLog) { l.remove(17) }, "at sequence 17 it lacks what was archived"},
		"an event differs":  {func(l *memLog) { l.events[18] = eventlog.Raw{Seq: 18, Subject: l.events[18].Subject} }, "at sequence 18 it holds another event than was archived and signed"},
		"the log is behind": {func(l *memLog) { l.last = 38 }, "at sequences 39 to 40 it holds nothing: it ends at 38"},
		"all of it": {func(l *memLog) {
			l.remove(12, 13, 14, 20)
			l.events[3], l.last = eventlog.Raw{Seq: 3, Subject: l.events[3].Subject}, 39
		}, "at sequence 3 it holds another event than was archived and signed; at sequences 12 to 14 it lacks what was archived; " +
			"at sequence 20 it lacks what was archived; at sequence 40 it holds nothing: it ends at 39"},
		"more than can be told": {func(l *memLog) {
			for seq := uint64(1); seq <= 40; seq += 2 {
				l.remove(seq)
				l.events[seq+1] = eventlog.Raw{Seq: seq + 1, Subject: l.events[seq+1].Subject}
			}
		}, "; and at 20 more"},
	} {
		other := newLog(t, 41)
		c.change(other)
		var d *LogDiffers
		if _, err := compare(other); !errors.As(err, &d) || !strings.HasSuffix(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTheLogBeginsBehindTheArchive: events between the two are in neither.
func TestTheLogBeginsBehindTheArchive(t *testing.T) {
	b, _, _, keys := archiveOf(t, 40)
	for first, whole := range map[uint64]bool{40: true, 41: true, 42: false, 45: false} {
		l := newLog(t, 50)
		l.first = first
		_, err := Verify{Bucket: b, Keys: keys, Against: l}.Run(t.Context())
		var w *Wrong
		if found := errors.As(err, &w) && w.Seq == 41; found == whole || whole && err != nil {
			t.Errorf("a log that begins at %d: %v", first, err)
		}
	}
}

// TestKnownCheckpoints: what the log says of the archive needs no signature to be held to.
func TestKnownCheckpoints(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 25)
	r, err := verify(t, b, keys)
	if err != nil {
		t.Fatal(err)
	}
	known := []Checkpoint{{Origin: r.Head().Origin, Size: r.Head().Size, Root: r.Head().Root}}
	l.addMany(t, 10)
	write(t, b, l, secret)
	later := b.data[keyOfCheckpoint(3)]
	cut := b.copyOf()
	for _, n := range []uint64{2, 3} {
		delete(cut.data, keyOfSpan(n))
		delete(cut.data, keyOfCheckpoint(n))
	}
	other := []Checkpoint{known[0]}
	other[0].Root[5]++
	for name, c := range map[string]struct {
		v    Verify
		want bool
	}{
		"as it was":             {Verify{Bucket: b, Known: known}, false},
		"behind a later one":    {Verify{Bucket: b, Known: known, Since: later}, false},
		"another root":          {Verify{Bucket: b, Known: other}, true},
		"its end is taken away": {Verify{Bucket: cut, Known: known}, true},
	} {
		c.v.Keys = keys
		if _, err := c.v.Run(t.Context()); isWrong(err) != c.want || !c.want && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrongWriter: what is signed is still held to be one tree and one order: a key is
// no licence.
func TestWrongWriter(t *testing.T) {
	b, _, secret, keys := archiveOf(t, 45)
	signer, err := ParseSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Checkpoint){
		"root":   func(c *Checkpoint) { c.Root[0]++ },
		"origin": func(c *Checkpoint) { c.Origin = "elsewhere" },
		"first":  func(c *Checkpoint) { c.Span.First++ },
		"number": func(c *Checkpoint) { c.Span.Number++ },
		"newest": func(c *Checkpoint) { c.Span.Newest = c.Span.Newest.Add(1) },
		"size":   func(c *Checkpoint) { c.Size, c.Span.Last = c.Size+1, c.Span.Last+1 },
		"columns": func(c *Checkpoint) {
			file := rewrite(t, b.data[keyOfSpan(2)], func(r *row) { r.Table = "rms.other" })
			c.Span.SHA256 = sha256.Sum256(file)
		},
	} {
		c, err := OpenCheckpoint(b.data[keyOfCheckpoint(2)], keys)
		if err != nil {
			t.Fatal(err)
		}
		change(&c)
		bad := b.copyOf()
		if bad.data[keyOfCheckpoint(2)], err = c.Sign(signer); err != nil {
			t.Fatal(err)
		}
		if name == "columns" {
			bad.data[keyOfSpan(2)] = rewrite(t, b.data[keyOfSpan(2)], func(r *row) { r.Table = "rms.other" })
		}
		if _, err := verify(t, bad, keys); !isWrong(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestProof proves the events of a file, and flips every bit of the proof.
func TestProof(t *testing.T) {
	b, _, _, keys := archiveOf(t, 45)
	file := fmt.Sprintf("%032x", 2)
	p, _, err := Prove(t.Context(), b, keys, file, func(r eventlog.Record) bool { return r.Envelope.GetCorrelation() == file })
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, events, c, err := Check(text, keys)
	if err != nil || len(events) != 15 || events[0].Seq != 1 || events[14].Seq != 43 || c.Size != 45 {
		t.Fatalf("%d events of %d: %v", len(events), c.Size, err)
	}
	_, others := testKey(t)
	if _, _, _, err := Check(text, others); !isWrong(err) {
		t.Errorf("with another key: %v", err)
	}
	one := *p
	one.Events = p.Events[3:4]
	if text, err = one.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, events, _, err := Check(text, keys); err != nil || len(events) != 1 {
		t.Fatalf("a part of a proof is a proof: %v", err)
	}
	of := bytes.Index(text, []byte(file))
	for i := range text {
		if i >= of && i < of+len(file) {
			continue // whose events it holds is for the caller to compare
		}
		for bit := range 8 {
			changed := bytes.Clone(text)
			changed[i] ^= 1 << bit
			if _, _, _, err := Check(changed, keys); !isWrong(err) {
				t.Fatalf("bit %d of byte %d is flipped: %v\n%s", bit, i, err, changed)
			}
		}
		if _, _, _, err := Check(text[:i], keys); !isWrong(err) {
			t.Fatalf("cut at byte %d: %v", i, err)
		}
	}
	for name, change := range map[string]func(*Proof){
		"events are swapped":  func(p *Proof) { p.Events[0], p.Events[1] = p.Events[1], p.Events[0] },
		"an event is doubled": func(p *Proof) { p.Events[1] = p.Events[0] },
		"no event":            func(p *Proof) { p.Events = nil },
		"an older checkpoint": func(p *Proof) { p.Checkpoint = string(b.data[keyOfCheckpoint(1)]) },
		"a path is cut":       func(p *Proof) { p.Events[0].Path = p.Events[0].Path[1:] },
		"another index":       func(p *Proof) { p.Events[0].Index++ },
	} {
		other := *p
		other.Events = slices.Clone(p.Events)
		change(&other)
		text, err := other.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := Check(text, keys); !isWrong(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Prove(t.Context(), b, keys, "none", func(eventlog.Record) bool { return false }); !errors.Is(err, ErrNothing) {
		t.Errorf("no event: %v", err)
	}
}

// TestProofOfEverySize: every leaf of every size of a tree, with the library's own check.
func TestProofOfEverySize(t *testing.T) {
	for size := 1; size <= 33; size += 4 {
		b, _, _, keys := archiveOf(t, size)
		p, _, err := Prove(t.Context(), b, keys, "all", func(eventlog.Record) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, events, _, err := Check(text, keys); err != nil || len(events) != size {
			t.Errorf("size %d: %d events, %v", size, len(events), err)
		}
	}
}

// TestSpellings: base64 that spells the same bytes in another way is refused.
func TestSpellings(t *testing.T) {
	b, _, _, keys := archiveOf(t, 5)
	signed := string(b.data[keyOfCheckpoint(0)])
	line := strings.LastIndex(signed, " ") + 1
	sig := strings.TrimSuffix(signed[line:], "\n")
	raw, err := base64.StdEncoding.DecodeString(sig)
	if err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := strings.IndexByte(sig, '=') - 1
	spelled := 0
	for _, c := range alphabet {
		other := sig[:at] + string(c) + sig[at+1:]
		if same, err := base64.StdEncoding.DecodeString(other); err != nil || !bytes.Equal(same, raw) || other == sig {
			continue
		}
		spelled++
		if _, err := OpenCheckpoint([]byte(signed[:line]+other+"\n"), keys); err == nil {
			t.Errorf("%s is taken for %s", other, sig)
		}
	}
	if spelled == 0 {
		t.Error("no other spelling was tried")
	}
	if _, err := OpenKept([]byte(signed+"— witness AAAAAAAA\n"), keys); err != nil {
		t.Errorf("a kept checkpoint that another has signed, too: %v", err)
	}
}
