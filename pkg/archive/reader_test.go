package archive

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
)

func TestReader(t *testing.T) {
	secret, keys := testKey(t)
	b, l := newMem(), newLog(t, 45)
	l.remove(7, 8)
	write(t, b, l, secret)
	r, err := NewReader(t.Context(), b, keys)
	if err != nil {
		t.Fatal(err)
	}
	if last, err := r.Last(t.Context()); err != nil || last != 45 {
		t.Errorf("it ends at %d, %v", last, err)
	}
	people := func(subject string) bool { return strings.Contains(subject, ".people.") }
	for name, c := range map[string]struct {
		f     eventlog.ArchiveFilter
		wants func(eventlog.Raw) bool
	}{
		"all":      {eventlog.ArchiveFilter{First: 1, Last: 45}, func(eventlog.Raw) bool { return true }},
		"a part":   {eventlog.ArchiveFilter{First: 9, Last: 31}, func(r eventlog.Raw) bool { return r.Seq >= 9 && r.Seq <= 31 }},
		"one":      {eventlog.ArchiveFilter{First: 20, Last: 20}, func(r eventlog.Raw) bool { return r.Seq == 20 }},
		"beyond":   {eventlog.ArchiveFilter{First: 46, Last: 99}, func(eventlog.Raw) bool { return false }},
		"a table":  {eventlog.ArchiveFilter{First: 1, Last: 45, Wants: people}, func(r eventlog.Raw) bool { return people(r.Subject) }},
		"no table": {eventlog.ArchiveFilter{First: 1, Last: 45, Wants: func(string) bool { return false }}, func(eventlog.Raw) bool { return false }},
	} {
		var got []uint64
		for raw, err := range r.Read(t.Context(), c.f) {
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal((Leaf{Raw: raw}).Append(nil), (Leaf{Raw: l.events[raw.Seq]}).Append(nil)) {
				t.Errorf("%s: event %d is another one", name, raw.Seq)
			}
			got = append(got, raw.Seq)
		}
		n := 0
		for seq := uint64(1); seq <= 45; seq++ {
			if raw, ok := l.events[seq]; ok && c.wants(raw) {
				if n >= len(got) || got[n] != seq {
					t.Fatalf("%s: %v", name, got)
				}
				n++
			}
		}
		if n != len(got) {
			t.Errorf("%s: %v", name, got)
		}
	}
	// Spans that are all older or newer are passed over.
	late := eventlog.ArchiveFilter{First: 1, Last: 45, From: start.Add(35 * time.Second), Until: start.Add(36 * time.Second)}
	for raw, err := range r.Read(t.Context(), late) {
		if err != nil || raw.Seq < 31 || raw.Seq > 40 {
			t.Errorf("%d, %v", raw.Seq, err)
		}
	}
}

func TestReaderBelievesNothing(t *testing.T) {
	b, _, _, _ := archiveOf(t, 45)
	read := func(b *memBucket) error {
		r, err := NewReader(t.Context(), b, Keys{})
		if err != nil {
			return err
		}
		for _, err := range r.Read(t.Context(), eventlog.ArchiveFilter{First: 1, Last: 45}) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	if err := read(b); err != nil {
		t.Fatal(err)
	}
	if err := read(newMem()); !errors.Is(err, ErrEmpty) {
		t.Errorf("nothing: %v", err)
	}
	for _, key := range []string{keyOfSpan(2), keyOfCheckpoint(2)} {
		bad := b.copyOf()
		bad.data[key] = bytes.Clone(bad.data[key])
		bad.data[key][len(bad.data[key])/2] ^= 1
		if err := read(bad); !isWrong(err) {
			t.Errorf("%s is changed: %v", key, err)
		}
	}
}
