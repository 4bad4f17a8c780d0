package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/natsserver"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/cases"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// schedules is how many schedules of crashes are played: two show every step.
var schedules = flag.Int("schedules", 2, "schedules of crashes to play")

// TestCrashesAtEveryStep runs the whole system while its processes die between
// any two of its steps, with one process and with two that race, and with a
// window for duplicates that is no help.
func TestCrashesAtEveryStep(t *testing.T) {
	t.Parallel()
	var covered coverage
	t.Run("schedules", func(t *testing.T) {
		for seed := range uint64(*schedules) {
			replicas := 1 + int(seed%2)
			t.Run(fmt.Sprintf("seed %d, %d replicas", seed, replicas), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, seed, replicas)
				w.play()
				covered.add(w.site.plan)
			})
		}
	})
	covered.reached(t, "log: before publish", "log: after publish", "log: before ack", "log: after ack",
		"before store: commit", "after store: commit", "before store: clear outbox", "after store: clear outbox",
		"lake: staged", "lake: committed", "before queue: hold", "before queue: release",
		"before failed: copy", "before staging: commit object", "after staging: commit object")
}

// world runs one schedule.
type world struct {
	t     *testing.T
	site  *site
	data  *crashData
	rng   *rand.Rand
	nodes []atomic.Pointer[node] // by replica
	lives sync.WaitGroup
	stop  context.CancelFunc
	ctx   context.Context
}

func newWorld(t *testing.T, seed uint64, replicas int) *world {
	t.Helper()
	cfg := natsserver.DefaultConfig()
	cfg.Dir, cfg.SyncAlways = t.TempDir(), false // processes die here, machines do not
	server, err := natsserver.Start(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "raw"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, site: &site{dir: dir, url: server.URL(), replicas: replicas, plan: newPlan(seed, 1+3*int(seed%2), 400)},
		data: newCrashData(seed), rng: rand.New(rand.NewPCG(seed, 5)), nodes: make([]atomic.Pointer[node], replicas),
	}
	w.ctx, w.stop = context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(func() { w.stop(); w.lives.Wait() })
	w.observer().closeOrFail(t) // makes all files, which two processes at once cannot
	for r := range replicas {
		w.lives.Go(func() { w.supervise(r) })
	}
	return w
}

// supervise runs one process after the other, nothing remembered.
func (w *world) supervise(replica int) {
	for w.ctx.Err() == nil {
		n, err := openNode(w.ctx, w.site)
		if err == nil {
			w.nodes[replica].Store(n)
			err = errors.Join(n.live(w.ctx), n.close())
		}
		if err != nil && !errors.Is(err, errCrash) && w.ctx.Err() == nil {
			w.t.Errorf("a process ended with: %v", err)
			w.stop()
		}
	}
}

// try has some process do something, again and again until it has succeeded.
func (w *world) try(what string, do func(*node) error) {
	w.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	var err error
	for {
		if n := w.nodes[w.rng.IntN(len(w.nodes))].Load(); n != nil {
			if err = do(n); err == nil {
				return
			}
		}
		select {
		case <-ticker.C:
		case <-w.ctx.Done():
			w.t.Fatalf("%s: no success before the end: %v", what, err)
		}
	}
}

func (w *world) command(name string, r lockmanager.CommandRequest) {
	w.t.Helper()
	r.Actor = "operator:test"
	w.try(name, func(n *node) error {
		reply, err := n.locks.Execute(w.ctx, name, r)
		if reply.Refused != "" {
			w.t.Errorf("%s %s: %s", name, r.Table, reply.Refused)
		}
		return err
	})
}

// play has two generations of each table come and be published.
func (w *world) play() {
	specs, err := registry.Parse([]byte(crashRegistration), "tables.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, spec := range specs {
		w.command("apply", lockmanager.CommandRequest{ID: "apply-" + spec.ID.Table, Table: spec.ID.String(), Spec: &spec})
	}
	w.settle()
	for generation := range 2 {
		for _, table := range crashTables {
			if !slices.Contains(crashTogether, table.Table) && (generation == 0 || table.Table == "reports") {
				w.deliver(w.data.generation(table.Table, generation))
			}
		}
		if generation == 0 {
			w.deliver(w.data.transactions())
		}
		w.seal(generation)
		if generation == 0 {
			for _, table := range []string{"rms.broken", "rms.moves"} {
				w.command("resume", lockmanager.CommandRequest{ID: "resume-" + table, Table: table, Mode: string(lockmanager.ResumeSkip)})
			}
			w.settle()
			w.mend()
		}
	}
	w.site.plan.end()
	w.check(specs)
	w.stop()
	w.lives.Wait()
}

// seal has the loads sealed: by a complete listing, or by commands. Across
// replicas the end of a listing may overtake the files before it, so that it
// seals nothing; a command comes when they have been seen.
func (w *world) seal(generation int) {
	complete := w.site.replicas == 1
	w.try("list", func(n *node) error {
		_, err := n.router.List(w.ctx, ingestrouter.ListRequest{
			ID: fmt.Sprintf("list-%d", generation), Actor: "operator:test", Complete: complete,
		})
		return err
	})
	w.settle()
	if complete {
		return
	}
	for _, table := range crashTables {
		if generation == 0 || table.Table == "reports" {
			w.command("load-complete", lockmanager.CommandRequest{ID: fmt.Sprintf("complete-%d", generation), Table: table.String()})
		}
	}
	w.settle()
}

// deliver tells of files in any order, some of them again.
func (w *world) deliver(files []crashFile) {
	for _, f := range files {
		f.put(w.t, w.site.dir)
	}
	var events []crashFile
	for _, f := range files {
		for range 1 + w.rng.IntN(2) {
			events = append(events, f)
		}
	}
	w.rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for _, f := range events {
		w.try("offer "+f.key(), func(n *node) error {
			info, err := n.raw.Stat(w.ctx, f.key())
			if err != nil {
				return err
			}
			_, err = n.router.Offer(w.ctx, objectOf(n.raw.Name(), info), ingestrouter.FromEvent)
			return err
		})
	}
}

func objectOf(bucket string, info objects.Info) dms.Object {
	return dms.Object{
		Bucket: bucket, Key: info.Key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC(),
	}
}

// settle waits until nothing is left to do.
func (w *world) settle() {
	w.t.Helper()
	o := w.observer()
	defer o.closeOrFail(w.t)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		done, err := o.settled(w.ctx)
		if err != nil && w.ctx.Err() == nil {
			w.t.Fatal(err)
		}
		if done {
			return
		}
		select {
		case <-ticker.C:
		case <-w.ctx.Done():
			w.t.Fatalf("the system did not settle; %d deaths so far", w.site.plan.total())
		}
	}
}

// observer is a process that runs no service and never dies.
type observer struct{ *node }

func (w *world) observer() observer {
	w.t.Helper()
	peaceful := *w.site
	peaceful.plan = newPlan(0, 1, 1)
	peaceful.plan.end()
	n, err := openNode(w.ctx, &peaceful)
	if err != nil {
		w.t.Fatal(err)
	}
	return observer{n}
}

func (o observer) closeOrFail(t *testing.T) {
	if err := o.close(); err != nil {
		t.Error(err)
	}
}

func (o observer) settled(ctx context.Context) (bool, error) {
	before, err := o.log.Last(ctx)
	if err != nil {
		return false, err
	}
	if idle, err := o.log.Idle(ctx, roles.Names()); !idle || err != nil {
		return false, err
	}
	unflushed, err := o.store.Unflushed(ctx)
	if err != nil || len(unflushed) > 0 {
		return false, err
	}
	tables, err := o.store.Tables(ctx)
	if err != nil {
		return false, err
	}
	for _, id := range tables {
		item, err := o.store.Table(ctx, id)
		if err != nil {
			return false, err
		}
		state, err := lockmanager.DecodeState(item.State)
		if err != nil || state.Grant != nil {
			return false, err
		}
	}
	after, err := o.log.Last(ctx)
	return before == after, err
}

// check: every file ended as it must, once; rows, log, state and queue agree.
func (w *world) check(specs []registry.Table) {
	t := w.t
	o := w.observer()
	defer o.closeOrFail(t)
	records := readLog(t, o.log)
	checkEvents(t, records)
	for _, spec := range specs {
		checkFolds(t, records, o.store, spec.ID)
		if n, err := o.hold.mortalHold().Len(t.Context(), spec.ID); err != nil || n > 0 {
			t.Errorf("%s: %d files in the hold queue (%v)", spec.ID, n, err)
		}
		w.checkFiles(o, spec.ID)
		if spec.ID.IsTransactions() {
			continue
		}
		want, err := cases.ReadCSV(strings.NewReader(w.data.expected(spec.ID.Table)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := compareRows(t, o.lake, spec, want); !diff.Empty() {
			t.Errorf("%s: %s", spec.ID, diff)
		}
	}
	checkQuarantine(t, records)
	w.checkRebuilt(o, records, specs)
	if steps := maintenanceSteps(records); steps[lake.MaintainCompact] == 0 || steps["failed"] > 0 {
		t.Errorf("maintenance took the steps %v", steps)
	}
	t.Logf("%d deaths, %d events", w.site.plan.total(), len(records))
}

// checkQuarantine: each broken file or part was set aside once, and so were the bad
// rows of the table that has its rows set aside one by one, which each staging of
// their file tells again.
func checkQuarantine(t *testing.T, records []eventlog.Record) {
	t.Helper()
	quarantined, rejected := map[string]int{}, map[string]int{}
	told := map[string]bool{}
	for _, r := range records {
		switch e := r.Event.(type) {
		case *blotterv1.FileQuarantined:
			quarantined[r.Table.Table]++
		case *blotterv1.RowsRejected:
			if !told[e.GetFileId()] {
				rejected[r.Table.Table] += int(e.GetRows())
			}
			told[e.GetFileId()] = true
		}
	}
	if want := map[string]int{"broken": 1, "moves": 1}; !maps.Equal(quarantined, want) {
		t.Errorf("files quarantined: %v, expected %v", quarantined, want)
	}
	if want := map[string]int{"tallies": len(mendedIDs)}; !maps.Equal(rejected, want) {
		t.Errorf("rows rejected: %v, expected %v", rejected, want)
	}
}

// maintenanceSteps counts the steps by what they did.
func maintenanceSteps(records []eventlog.Record) map[string]int {
	steps := map[string]int{}
	for _, r := range records {
		switch e := r.Event.(type) {
		case *blotterv1.TableMaintained:
			steps[e.GetStep()]++
		case *blotterv1.MaintenanceFailed:
			steps["failed"]++
		}
	}
	return steps
}

// checkFiles: all files of a table are published, but for the broken one, and the
// transaction files are split.
func (w *world) checkFiles(o observer, table dms.TableID) {
	t := w.t
	rows, err := o.store.Files(t.Context(), table, nil, maxFiles)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{string(lockmanager.Published): 2 + crashChanges}
	switch table.Table {
	case "reports":
		want[string(lockmanager.Published)] *= 2
	case "broken", "moves":
		want[string(lockmanager.Published)]--
		want[string(lockmanager.Skipped)] = 1
	case "tallies":
		want[string(lockmanager.Published)]++ // its mended rows
	case dms.TransactionTable:
		want = map[string]int{string(lockmanager.Split): crashChanges}
	}
	states := map[string]int{}
	for _, row := range rows {
		states[row.State]++
	}
	if !maps.Equal(states, want) {
		t.Errorf("%s: the files ended as %v, expected %v", table, states, want)
		item, err := o.store.Table(t.Context(), table)
		t.Logf("its state is %s (%v)", item.State, err)
	}
}
