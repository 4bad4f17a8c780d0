package fsck

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// countedQueue shows how many files there are; to list them is a right that is missing.
type countedQueue struct {
	holdqueue.Queue
	n   int
	err error
}

func (q countedQueue) Count(context.Context, dms.TableID) (int, error) { return q.n, q.err }

var errNoRight = errors.New("not authorized")

func (countedQueue) Held(context.Context, dms.TableID, int) ([]holdqueue.Item, error) {
	return nil, errNoRight
}

// TestCountedHold: who only looks counts the files of a queue, and takes none of them out
// of sight; a repair lists them.
func TestCountedHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		queue  countedQueue
		repair Repairer
		says   string // of the finding; empty: none
		note   bool
		err    bool
	}{
		{name: "as many", queue: countedQueue{n: 2}},
		{name: "fewer", queue: countedQueue{n: 1}, says: "2 files wait, and it has about 1", note: true},
		{name: "more", queue: countedQueue{n: 3}, says: "2 files wait, and it has about 3", note: true},
		{name: "refused", queue: countedQueue{err: errNoRight}, err: true},
		{name: "repair", queue: countedQueue{n: 2}, repair: struct{ Repairer }{}, err: true},
	} {
		l := &look{
			deps: Deps{Hold: tt.queue, Repair: tt.repair}, report: &Report{More: map[string]int{}}, listed: map[string]int{},
			id:    dms.TableID{DB: "rms", Table: "reports"},
			state: &lockmanager.State{Files: map[dms.FileID]*lockmanager.File{"a": {ID: "a", Held: true}, "b": {ID: "b", Held: true}, "c": {ID: "c"}}},
		}
		err := l.checkHold(t.Context())
		if errors.Is(err, errNoRight) != tt.err {
			t.Errorf("%s: %v", tt.name, err)
		}
		found := l.report.Findings
		if len(found) != map[bool]int{true: 1}[tt.says != ""] {
			t.Errorf("%s: found %v", tt.name, found)
			continue
		}
		if len(found) == 1 && (!strings.Contains(found[0].Detail, tt.says) || found[0].Note != tt.note || found[0].Kind != HoldDiffers) {
			t.Errorf("%s: found %+v", tt.name, *found[0])
		}
	}
}
