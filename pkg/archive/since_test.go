package archive

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
)

// TestSince begins behind a checkpoint that was verified before: what comes after it is
// proven, and that it extends it.
func TestSince(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 25)
	before, err := verify(t, b, keys)
	if err != nil {
		t.Fatal(err)
	}
	since := func(b *memBucket, more ...func(*Verify)) (*Report, error) {
		v := Verify{Bucket: b, Keys: keys, Since: []byte(before.Checkpoint)}
		for _, m := range more {
			m(&v)
		}
		return v.Run(t.Context())
	}
	if r, err := since(b); err != nil || r.Size != 25 || r.Since != 25 || r.Events != 0 || r.Checkpoint != before.Checkpoint {
		t.Errorf("nothing is new: %+v, %v", r, err)
	}
	l.addMany(t, 20)
	write(t, b, l, secret)
	whole, err := verify(t, b, keys)
	if err != nil {
		t.Fatal(err)
	}
	against := func(v *Verify) { v.Against = l }
	if r, err := since(b, against); err != nil || r.Size != 45 || r.Events != 20 || r.Compared != 20 || r.Checkpoint != whole.Checkpoint || r.Spans != 5 {
		t.Errorf("twenty are new: %+v, %v", r, err)
	}

	flipped := func(key string) *memBucket {
		c := b.copyOf()
		c.data[key] = append([]byte{}, c.data[key]...)
		c.data[key][len(c.data[key])/2] ^= 1
		return c
	}
	without := func(keys ...string) *memBucket {
		c := b.copyOf()
		for _, k := range keys {
			delete(c.data, k)
		}
		return c
	}
	forgedLog := newLog(t, 45)
	e := forgedLog.events[3]
	e.Stored = e.Stored.Add(1)
	forgedLog.events[3] = e
	forged, later := newMem(), newLog(t, 45)
	write(t, forged, forgedLog, secret)
	e = later.events[44]
	e.Stored = e.Stored.Add(1)
	later.events[44] = e
	for name, c := range map[string]struct {
		b     *memBucket
		found bool
	}{
		"a span before it":               {flipped(keyOfSpan(1)), false}, // as is said
		"its span":                       {flipped(keyOfSpan(2)), true},
		"its checkpoint":                 {flipped(keyOfCheckpoint(2)), true},
		"a span after it":                {flipped(keyOfSpan(3)), true},
		"a checkpoint after it":          {flipped(keyOfCheckpoint(4)), true},
		"a missing span before it":       {without(keyOfSpan(0)), true},
		"what came last is gone":         {without(keyOfSpan(2), keyOfSpan(3), keyOfSpan(4), keyOfCheckpoint(2), keyOfCheckpoint(3), keyOfCheckpoint(4)), true},
		"all before it was signed anew":  {forged, true},
		"a span after it is another one": {without(keyOfSpan(3)), true},
	} {
		if r, err := since(c.b); isWrong(err) != c.found || !c.found && err != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	var differs *LogDiffers
	if _, err := since(b, func(v *Verify) { v.Against = later }); !errors.As(err, &differs) || differs.Places[0].First != 44 {
		t.Errorf("against a log that differs: %v", err)
	}
	older := func(v *Verify) { v.Kept = [][]byte{b.data[keyOfCheckpoint(1)]} }
	if _, err := since(b, older); err == nil || isWrong(err) || !strings.Contains(err.Error(), "verify all") {
		t.Errorf("held to an older checkpoint: %v", err)
	}
	newer := func(v *Verify) { v.Kept = [][]byte{b.data[keyOfCheckpoint(2)], b.data[keyOfCheckpoint(4)]} }
	if _, err := since(b, newer); err != nil {
		t.Errorf("held to newer ones: %v", err)
	}
	if _, err := since(b, func(v *Verify) { v.Since = []byte("nothing") }); err == nil || isWrong(err) {
		t.Errorf("behind nothing: %v", err)
	}
}

// TestProofOfAnArchiveThatChanges: the second pass is held to what the first one proved.
func TestProofOfAnArchiveThatChanges(t *testing.T) {
	b, _, _, keys := archiveOf(t, 25)
	report, err := verify(t, b, keys)
	if err != nil {
		t.Fatal(err)
	}
	other, l := newMem(), newLog(t, 25)
	e := l.events[7]
	e.Stored = e.Stored.Add(1)
	l.events[7] = e
	secret, otherKeys := testKey(t)
	write(t, other, l, secret)
	p := &Proof{Events: []Proven{{Index: 6, Leaf: Leaf{Raw: eventlog.Raw{Seq: 7}}.Append(nil)}}}
	if err := p.paths(t.Context(), store{other, otherKeys}, report); !isWrong(err) {
		t.Errorf("the paths of another tree: %v", err)
	}
}

// busyBucket has something happen in the middle of its first list.
type busyBucket struct {
	*memBucket
	meanwhile func()
}

func (b *busyBucket) List(ctx context.Context, _ string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for _, prefix := range []string{checkpointsPrefix, spansPrefix, publishedKeys} {
			for info, err := range b.memBucket.List(ctx, prefix) {
				if !yield(info, err) {
					return
				}
			}
			if b.meanwhile != nil {
				b.meanwhile()
				b.meanwhile = nil
			}
		}
	}
}

// TestVerifyBesideAWriter: an archive that grows while it is listed is none that lacks
// something.
func TestVerifyBesideAWriter(t *testing.T) {
	b, l, secret, keys := archiveOf(t, 25)
	busy := &busyBucket{b, func() {
		l.addMany(t, 30)
		write(t, b, l, secret)
	}}
	if r, err := (Verify{Bucket: busy, Keys: keys}).Run(t.Context()); err != nil || r.Size != 55 || r.Spans != 6 {
		t.Errorf("%+v, %v", r, err)
	}
}
