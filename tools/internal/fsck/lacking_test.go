package fsck

import (
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// TestAdviceOnLack: a gap of long ago does not take the place of the advice on what is found
// today, which may have another reason.
func TestAdviceOnLack(t *testing.T) {
	const own = "write it anew from the log"
	for name, c := range map[string]struct {
		now, lost []eventlog.Span
		lacks     bool
		has       []string
		hasNot    string
	}{
		"nothing lacks":             {has: []string{own}, hasNot: "sequence"},
		"it lacks events":           {now: []eventlog.Span{{First: 4, Last: 6}}, lacks: true, has: []string{"4", "backup that has them", "keep the control store"}, hasNot: own},
		"it lacks others than lost": {now: []eventlog.Span{{First: 9, Last: 9}}, lost: []eventlog.Span{{First: 4, Last: 6}}, lacks: true, has: []string{"sequence 9"}, hasNot: "signed"},
		"it lacks what is lost":     {lost: []eventlog.Span{{First: 4, Last: 6}}, lacks: true, has: []string{"signed them as missing", "keep the control store"}, hasNot: own},
		"a gap that was trimmed":    {lost: []eventlog.Span{{First: 4, Last: 6}}, has: []string{own, "but if it comes of", "signed them as missing"}},
	} {
		got := adviceOnLack(&Finding{Kind: ControlDiffers, Do: own}, c.now, c.lost, c.lacks)
		for _, want := range c.has {
			if !strings.Contains(got, want) {
				t.Errorf("%s: it lacks %q: %s", name, want, got)
			}
		}
		if c.hasNot != "" && strings.Contains(got, c.hasNot) {
			t.Errorf("%s: it has %q: %s", name, c.hasNot, got)
		}
	}
}
