package lockmanager

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// budget bounds what goes wrong in one walk, so that it ends.
type budget struct {
	redeliver int  // inputs that are delivered again
	rerun     int  // transforms that run again, whatever their token
	slow      int  // curators that stop between their check and their commit
	deadline  int  // grants that run out of time
	pause     int  // operators who pause by force
	unskip    int  // operators who take back that a file was skipped
	eager     int  // publications after which the table is maintained; 0: not in this walk
	skip      bool // what the operator does with a bad file, instead of retrying it
	mended    bool // what the operator does with a load of mended files
}

// walk visits every interleaving of a small schedule: at every state it takes
// every action, and it ends each path by letting everything come to rest.
type walk struct {
	t       *testing.T
	visited map[[sha256.Size]byte]bool
	ends    int
	path    []string
}

// step is one thing that can happen next.
type step struct {
	name string
	take func(w *world, b *budget)
}

// walkCounters are what the walks must have reached.
var walkCounters = []string{
	"redelivery", "stale transform", "stale commit refused", "fenced commit refused", "commit conflict",
	"fence: failed", "fence: suspects", "good files before a suspect", "suspect published", "suspect paused the table",
	"kept: failed", "fence: deadline", "fence: forced", "fence finds the files landed",
	"published in spite of a fence: failed", "published in spite of a fence: deadline", "published in spite of a fence: forced",
	"published after it was skipped", "late load file", "LoadReopened", "superseded load file",
	"superseded change file", "change file folded into a replacement", "merge lands after a load opened",
	"FileSkipped", "FileRetried", "LoadAbandoned",
	"taken in after all: change file", "taken in after all: load file", "taken in after all: transaction file", "taken in after all, and published", "replacement fenced",
	"load held: part", "LoadMended", "mended file put into a load that was published",
	"maintenance: publications", "step fenced: deadline", "step fenced: forced", "step fenced: failed",
	"fence finds the step taken", "maintained in spite of a fence: deadline", "maintenance between files",
	"split", "released: split", "released: failed", "released: deadline", "released: forced",
}

// TestWalk: the invariants of design.md hold in every state that small
// schedules can reach, with redelivery, stale workers and curators, deadlines
// and operators at every place between.
func TestWalk(t *testing.T) {
	change := func(minute, minutes int) *rawFile {
		return changeFile(minute, minutes, op{'U', 1, 100 + minute, minute}, op{'I', minute, minute, minute})
	}
	bad := change(3, 5)
	bad.fault = unreadable
	worse := change(4, 5)
	worse.fault = unmergeable
	flakyOne := change(2, 5)
	flakyOne.fault = flaky
	badLoad := loadFile(1, 0, "a", op{'L', 1, 1, 0})
	badLoad.fault = unmergeable
	damaged := loadFile(1, 1, "a", op{'L', 1, 1, 0}, op{'L', 2, 1, 0})
	damaged.fault = unreadable
	dispute := change(2, 5)
	dispute.fault = disputed
	load := func(number, minutes int, version string) *rawFile {
		return loadFile(number, minutes, version, op{'L', 1, number * minutes, 0}, op{'L', 10 * number, minutes, 0})
	}
	flakyLoad := load(3, 3, "a")
	flakyLoad.fault = flaky
	flakyThree := change(3, 5)
	flakyThree.fault = flaky
	txn := func(minute int) *rawFile { return txnFile(minute, minute, op{}, op{}) }
	badTxn := txn(3)
	badTxn.fault = unreadable
	flakyTxn := txn(3)
	flakyTxn.fault = flaky
	part := txnPart(4, 3, op{'I', 4, 4, 4})
	seen := map[string]int{}
	for _, scenario := range []struct {
		name   string
		budget budget
		files  []*rawFile
	}{
		{"a transaction file", budget{redeliver: 1, rerun: 1, deadline: 1, pause: 1}, []*rawFile{txn(2)}},
		{"two transaction files", budget{redeliver: 1, deadline: 1}, []*rawFile{txn(2), txn(4)}},
		{"a bad transaction file and a later one", budget{redeliver: 1, rerun: 1}, []*rawFile{badTxn, txn(4)}},
		{"a bad transaction file that is skipped", budget{redeliver: 1, pause: 1, skip: true}, []*rawFile{badTxn, txn(4)}},
		{"a load and a part of a transaction file", budget{redeliver: 1}, []*rawFile{load(1, 1, "a"), change(2, 5), part}},
		{"a change", budget{redeliver: 1, rerun: 1, slow: 1, deadline: 1}, []*rawFile{change(2, 5)}},
		{"two changes", budget{redeliver: 1}, []*rawFile{change(2, 5), change(4, 3)}},
		{"two changes, deadline", budget{deadline: 1, slow: 1}, []*rawFile{change(2, 5), change(4, 3)}},
		{"load and change", budget{redeliver: 1, deadline: 1}, []*rawFile{load(1, 1, "a"), change(2, 5)}},
		{"load and two changes", budget{slow: 1}, []*rawFile{load(1, 1, "a"), change(2, 5), change(4, -3)}},
		{"load and change, paused by force", budget{pause: 1}, []*rawFile{load(1, 1, "a"), change(2, 5)}},
		{"a change between generations", budget{}, []*rawFile{load(1, 1, "a"), load(1, 7, "b"), change(2, 5)}},
		{"bad change and a later one", budget{redeliver: 1}, []*rawFile{bad, change(4, 3)}},
		{"bad change among good ones", budget{}, []*rawFile{change(2, 5), bad, change(4, 3)}},
		{"two bad changes, skipped", budget{skip: true}, []*rawFile{bad, worse}},
		{"a bad change that is skipped, and that taken back", budget{unskip: 1, skip: true}, []*rawFile{flakyThree, change(4, 3)}},
		{"a bad load file that is skipped, and that taken back", budget{unskip: 1, skip: true}, []*rawFile{load(1, 1, "a"), flakyLoad}},
		{"a bad transaction file that is skipped, and that taken back", budget{unskip: 1, redeliver: 1, skip: true}, []*rawFile{flakyTxn, txn(4)}},
		{"flaky change", budget{}, []*rawFile{change(1, 5), change(3, 5), flakyOne}},
		{"disputed audit", budget{slow: 2, skip: true}, []*rawFile{dispute, change(4, 3)}},
		{"bad load", budget{}, []*rawFile{badLoad, change(4, 3)}},
		{"late load file", budget{}, []*rawFile{load(1, 1, "a"), load(2, 2, "a"), change(4, 3)}},
		{"load files that stay staged", budget{}, []*rawFile{load(1, 1, "a"), load(2, 2, "a"), flakyLoad}},
		{"a load file that is mended", budget{skip: true, mended: true}, []*rawFile{damaged, load(2, 2, "a"), load(1, 9, "b")}},
		{"a change and its maintenance", budget{redeliver: 1, slow: 1, deadline: 1, eager: 1}, []*rawFile{change(2, 5)}},
		{"maintenance paused by force", budget{pause: 1, slow: 1, eager: 1}, []*rawFile{change(2, 5)}},
		{"maintenance between changes", budget{eager: 1}, []*rawFile{change(2, 5), change(4, 3), change(6, 4)}},
		{"maintenance and a load", budget{slow: 1, eager: 1}, []*rawFile{change(2, 5), load(1, 1, "a")}},
	} {
		cfg := modelConfig()
		if scenario.budget.eager > 0 {
			cfg = eagerConfig(scenario.budget.eager)
		}
		t.Run(scenario.name, func(t *testing.T) {
			walk := &walk{t: t, visited: map[[sha256.Size]byte]bool{}}
			table := testTable
			if scenario.files[0].ref.GetKind() == blotterv1.FileKind_FILE_KIND_TRANSACTION {
				table = txnTable
			}
			w := newWorldOf(table, cfg, seen, scenario.files...)
			w.order(func(o Order) Command { return Register{Order: o, Spec: specOf(table, 1, registry.FlagLambda)} })
			w.bag = w.bag[:len(w.bag)-1] // registering again is shown elsewhere
			walk.visit(w, scenario.budget)
			t.Logf("%d states, %d ends", len(walk.visited), walk.ends)
			if walk.ends < 2 {
				t.Error("the walk went nowhere")
			}
		})
	}
	for _, counter := range walkCounters {
		if seen[counter] == 0 {
			t.Errorf("never reached: %s", counter)
		}
	}
}

// visit takes every action that w allows, unless it was here before.
func (k *walk) visit(w *world, b budget) {
	key := w.fingerprint(b)
	if k.visited[key] {
		return
	}
	k.visited[key] = true
	if len(k.visited) > 60_000 {
		k.t.Fatal("too many states")
	}
	steps := w.steps(b)
	for _, s := range steps {
		next, left := w.clone(), b
		s.take(next, &left)
		k.path = append(k.path, s.name)
		k.must(next)
		k.visit(next, left)
		k.path = k.path[:len(k.path)-1]
	}
	if len(steps) == 0 {
		k.ends++
		w.drain(choice{skipFirst: b.skip, mended: b.mended})
		k.must(w)
	}
}

func (k *walk) must(w *world) {
	if len(w.problems) == 0 {
		return
	}
	for _, said := range w.log {
		k.t.Log(w.line(said))
	}
	k.t.Fatalf("%s\nafter %s", w.problems[0], strings.Join(k.path, ", "))
}

// steps gives what can happen next.
func (w *world) steps(b budget) []step {
	var steps []step
	can := func(ok bool, name string, take func(w *world, b *budget)) {
		if ok {
			steps = append(steps, step{name, take})
		}
	}
	for i, m := range w.bag {
		can(m.delivered == 0, "deliver "+m.text(), func(w *world, _ *budget) { w.deliver(w.bag[i]) })
		can(m.delivered == 1 && b.redeliver > 0, "deliver again "+m.text(), func(w *world, b *budget) {
			b.redeliver--
			w.deliver(w.bag[i])
		})
	}
	for i, t := range w.work {
		can(t.runs == 0, fmt.Sprintf("run %s/%d", w.name(t.file), t.token), func(w *world, _ *budget) { w.run(w.work[i]) })
		can(t.runs == 1 && b.rerun > 0, fmt.Sprintf("run again %s/%d", w.name(t.file), t.token), func(w *world, b *budget) {
			b.rerun--
			w.run(w.work[i])
		})
	}
	for i, j := range w.jobs {
		can(j.runs == 0 && j.read < 0, fmt.Sprintf("curate %d", j.token), func(w *world, _ *budget) { w.curateAtOnce(w.jobs[i]) })
		can(j.runs <= 1 && j.read < 0 && b.slow > 0, fmt.Sprintf("begin to curate %d", j.token), func(w *world, b *budget) {
			b.slow--
			slow := clonePointer(w.jobs[i]) // another replica
			slow.runs = 1
			if w.read(slow); slow.read >= 0 {
				w.jobs = append(w.jobs, slow)
			}
		})
		can(j.read >= 0, fmt.Sprintf("go on to curate %d", j.token), func(w *world, _ *budget) {
			w.write(w.jobs[i])
			w.jobs[i].runs = 2
		})
	}
	can(b.deadline > 0 && w.folded.Grant != nil, "deadline", func(w *world, b *budget) {
		b.deadline--
		w.tick(w.cfg.GrantTimeout + time.Second)
	})
	can(b.pause > 0, "pause", func(w *world, b *budget) {
		b.pause--
		w.order(func(o Order) Command { return Pause{Order: o, Force: true} })
	})
	for _, f := range w.skipped() {
		can(b.unskip > 0, "unskip "+w.name(string(f.ID)), func(w *world, b *budget) {
			b.unskip--
			w.order(func(o Order) Command { return Unskip{Order: o, Files: []dms.FileID{f.ID}} })
		})
	}
	l := w.folded.Load
	can(w.folded.Pause != nil || l != nil && (!l.Sealed || l.HeldReason != ""), "operator", func(w *world, b *budget) { w.settle(choice{skipFirst: b.skip, mended: b.mended}) })
	return steps
}

// curateAtOnce checks a token and commits with nothing between.
func (w *world) curateAtOnce(j *job) {
	if w.read(j); j.read >= 0 {
		w.write(j)
	}
}

func (m *message) text() string {
	if m.command != nil {
		return fmt.Sprintf("%T%+v", m.command, m.command.order())
	}
	if m.name != "" {
		return m.name
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m.event)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(b)
	m.name = fmt.Sprintf("%s %x", m.event.ProtoReflect().Descriptor().Name(), sum[:6])
	return m.name
}

// fingerprint is the same for worlds in which the same can happen: times that no
// decision asks for are left out.
func (w *world) fingerprint(b budget) [sha256.Size]byte {
	s := w.folded
	m := s.Maintenance
	parts := []string{fmt.Sprint(b, w.now.Unix(), w.lake.commits, w.transforms, w.splits, w.retried, w.floor.Unix(),
		s.Token, s.Generation, s.FirstModified.Unix(), s.Rows, s.Answered, s.Deleted,
		m.Publications, m.SinceStep, m.More, m.Requested, m.Failures, m.Next.Unix())}
	if s.Grant != nil {
		parts = append(parts, fmt.Sprint("g", *s.Grant))
	}
	if s.Load != nil {
		parts = append(parts, fmt.Sprint("l", *s.Load))
	}
	if s.Pause != nil {
		parts = append(parts, fmt.Sprint("p", s.Pause.Reason))
	}
	for id, f := range s.Files {
		parts = append(parts, fmt.Sprint("f", id, f.Status, f.Held, f.Late, f.Superseded, f.Generation, f.Token, f.Attempts,
			f.Expired, f.Suspect, f.Rejoins, f.Staged != nil, f.Failure != nil, f.Reason))
	}
	for _, m := range w.bag {
		parts = append(parts, fmt.Sprint("m", m.text(), m.delivered))
	}
	for _, t := range w.work {
		parts = append(parts, fmt.Sprint("t", *t))
	}
	for _, j := range w.jobs {
		parts = append(parts, fmt.Sprint("j", *j))
	}
	slices.Sort(parts)
	return sha256.Sum256([]byte(strings.Join(parts, "\n")))
}
