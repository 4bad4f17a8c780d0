package lockmanager

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// deleted tells on the log, as ingest-router does, that objects were deleted;
// each has an arrival before it, which lock-manager must not read.
func (b *shellBench) deleted(reason string, ids ...int) {
	b.t.Helper()
	for _, id := range ids {
		key := fmt.Sprintf("%s20240304-0600%05d.csv", prefix, id)
		object := &blotterv1.ObjectRef{Bucket: "raw", Key: key}
		for name, e := range map[string]eventlog.Event{
			"arrived": {Message: &blotterv1.ObjectArrived{FileId: fmt.Sprint(id), Object: object}},
			"deleted": {Message: &blotterv1.ObjectDeleted{DeletionId: fmt.Sprintf("%032x", id), Object: object, Reason: reason, Source: "event"}},
		} {
			e.Table, e.Service, e.Time = testTable, "ingest-router", time.Now()
			e.ID = eventlog.ID(e.Service, testTable, name, fmt.Sprint(id))
			if _, err := b.log.PublishOnce(b.t.Context(), e); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// TestDeletedObjectsPauseTheTableOnce: many deletions are one pause and all on
// record; when they are told again after the resume, to a process that never
// heard of them, nothing happens; a further one pauses the table again.
func TestDeletedObjectsPauseTheTableOnce(t *testing.T) {
	b := newShellBench(t)
	s, _, after := b.process()
	b.execute(s, "apply", applyRequest(t, "1"))
	b.deleted("expired", 0)
	b.deleted("deleted", 1, 2, 3, 4, 5, 6, 7, 8)
	after.Store(true) // it dies once before it acknowledges
	stop := eventlogtest.Run(t, s.Run)
	eventlogtest.Idle(t, b.log, ServiceName)
	stop()
	if n := b.counts(); n["TablePaused"] != 1 || n["DeletionNoted"] != 8 {
		t.Errorf("the log says %v, expected one pause for 8 deletions", n)
	}
	b.execute(s, "resume", CommandRequest{ID: "2", Actor: "operator:test", Table: testTable.String()})

	next, _, _ := b.process()
	records := eventlogtest.Read(t, b.log, eventlog.Filter{Table: testTable, Event: "ObjectDeleted"})
	for _, r := range slices.Backward(records) {
		if err := next.handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.counts(); n["TablePaused"] != 1 || n["DeletionNoted"] != 8 {
		t.Errorf("told again, the log says %v", n)
	}

	b.deleted("deleted", 9)
	stop = eventlogtest.Run(t, next.Run)
	eventlogtest.Idle(t, b.log, ServiceName)
	stop()
	if n := b.counts(); n["TablePaused"] != 2 || n["DeletionNoted"] != 9 || n["TableResumed"] != 1 {
		t.Errorf("after a further deletion the log says %v", n)
	}
	paused := eventlogtest.Read(t, b.log, eventlog.Filter{Table: testTable, Event: "TablePaused"})
	if e := paused[1].Event.(*blotterv1.TablePaused); e.GetReason() != pauseDeleted || e.GetDetail() == "" {
		t.Errorf("the pause says %v", e)
	}
}

// TestWalkDeletions is TestWalk with deletions told at every place between.
func TestWalkDeletions(t *testing.T) {
	first, second := changeFile(2, 5, op{'I', 2, 2, 2}), changeFile(4, 3, op{'I', 4, 4, 4})
	load, late := loadFile(1, 1, "a", op{'L', 1, 1, 0}), loadFile(2, 2, "a", op{'L', 2, 2, 0})
	seen := map[string]int{}
	for _, scenario := range []struct {
		name        string
		budget      budget
		files, gone []*rawFile
	}{
		{"two objects", budget{redeliver: 2}, []*rawFile{first}, []*rawFile{first, second}},
		{"late load file", budget{}, []*rawFile{load, late}, []*rawFile{late}},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			walk := &walk{t: t, visited: map[[sha256.Size]byte]bool{}}
			w := newWorld(modelConfig(), seen, scenario.files...)
			w.order(func(o Order) Command { return Register{Order: o, Spec: testSpec(1, registry.FlagLambda)} })
			w.bag = w.bag[:len(w.bag)-1]
			for _, f := range scenario.gone {
				w.send(f.deleted(deletedByRequest, 1))
			}
			walk.visit(w, scenario.budget)
			if walk.ends < 2 {
				t.Error("the walk went nowhere")
			}
		})
	}
	for _, counter := range []string{"paused: source_deleted", "paused: late_load_file", "many deletions, one pause", "redelivery"} {
		if seen[counter] == 0 {
			t.Errorf("never reached: %s", counter)
		}
	}
}
