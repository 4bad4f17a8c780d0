package lockmanager

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// world drives the real state machine against a model of everything around it:
// a raw bucket, workers that transform, a curator over a lake, a bus that
// delivers in any order and again, a clock and an operator. Every action may be
// taken at any time; problems holds what must not have happened.
type world struct {
	table dms.TableID
	cfg   Config
	now   time.Time
	files map[string]*rawFile

	state  *State // the state machine
	folded *State // what its events fold to, one by one
	shell  *shell // the same inputs through the real shell; nil: not run beside

	lastGrant *blotterv1.FencedGrant // what a fence would tell of the last grant

	lake lakeModel
	bag  []*message // all inputs ever sent
	work []*task    // all transforms ever ordered
	jobs []*job     // all that the curator was ever asked
	hold map[string]bool

	splits     map[string]int // how often each transaction file was split
	transforms map[string]int // runs of each file
	retried    map[string]bool
	sealed     []string // of the load that is sealed
	seals      []seal
	floor      time.Time // of a load that is open again: where its changes begin at the earliest
	refused    map[string]bool
	unskipped  map[string]bool
	deleted    map[string]bool // deletions by request that were delivered
	noted      map[string]bool // those that the table knows of
	abandoned  bool
	commands   int

	log      []said
	problems []string
	seen     map[string]int // what was reached, shared by all worlds of a test
}

// message is an input on the bus or a command on its way.
type message struct {
	event     proto.Message
	command   Command
	delivered int
	name      string // as the walk knows it
}

// task is the transform of one file under one token.
type task struct {
	file  string
	token uint64
	runs  int
}

// job is a publication or a fence that the curator was asked for. read is the
// lake's head in which its token was checked, -1 before that.
type job struct {
	token    uint64
	fence    bool
	maintain bool
	replace  bool
	files    []string
	read     int
	runs     int
}

type seal struct {
	generation uint64
	files      []string
	first      time.Time // when its first file was modified
	known      []string  // the load files that had come, but for late and refused ones
}

type said struct {
	at    time.Time
	event proto.Message
}

// newWorld is the world of the test's table; newWorldOf of another one.
func newWorld(cfg Config, seen map[string]int, files ...*rawFile) *world {
	return newWorldOf(testTable, cfg, seen, files...)
}

func newWorldOf(table dms.TableID, cfg Config, seen map[string]int, files ...*rawFile) *world {
	w := &world{
		table: table, cfg: cfg, now: modelEpoch, files: map[string]*rawFile{}, state: NewState(table), folded: NewState(table),
		hold: map[string]bool{}, splits: map[string]int{}, transforms: map[string]int{}, retried: map[string]bool{}, refused: map[string]bool{},
		deleted: map[string]bool{}, noted: map[string]bool{}, seen: seen,
	}
	for _, f := range files {
		w.files[string(f.id())] = f
		w.send(f.classified())
	}
	return w
}

func (w *world) send(e proto.Message) { w.bag = append(w.bag, &message{event: e}) }

func (w *world) saw(what string) { w.seen[what]++ }

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// deliver hands one message to the state machine.
func (w *world) deliver(m *message) {
	m.delivered++
	if e, ok := m.event.(*blotterv1.ObjectDeleted); ok && e.GetReason() == deletedByRequest {
		w.deleted[e.GetDeletionId()] = true
	}
	if m.delivered > 1 {
		w.saw("redelivery")
	}
	w.step(Input{Event: m.event, Command: m.command})
}

// order gives a command; it reports whether it was carried out.
func (w *world) order(c func(Order) Command) bool {
	w.commands++
	m := &message{command: c(Order{ID: fmt.Sprintf("command-%d", w.commands), Reason: "the model's operator"})}
	before := len(w.log)
	w.deliver(m)
	if len(w.log) == before {
		return false
	}
	w.bag = append(w.bag, m)
	return true
}

// tick lets time pass and has the clock looked at.
func (w *world) tick(d time.Duration) {
	w.now = w.now.Add(d)
	w.step(Input{Since: modelEpoch})
}

// step takes one input through Step and checks all that holds after any step.
func (w *world) step(in Input) {
	in.Time = w.now
	before := w.log
	events, err := w.state.Step(w.cfg, in)
	if err != nil && (!errors.Is(err, ErrRefused) || in.Command == nil) {
		w.problem("step: %v", err)
	}
	if err != nil {
		w.saw("command refused")
	}
	if in.Command != nil && err == nil && len(events) == 0 {
		w.saw("command twice")
	}
	for _, e := range events {
		w.observe(e)
	}
	w.state.TakeChanged()
	w.folded.TakeChanged()
	if !reflect.DeepEqual(w.state, w.folded) {
		w.problem("the state is not the fold of its events")
	}
	if w.shell != nil {
		w.shell.apply(w, in, w.log[len(before):], err)
	}
	if in.Event == nil && in.Command == nil {
		return
	}
	if again, _ := w.state.Step(w.cfg, in); len(again) > 0 && err == nil {
		w.problem("%T delivered twice says %T the second time", in.Event, again[0])
	}
}

// observe checks one event against what was before it, folds it, and has the
// world react.
func (w *world) observe(e proto.Message) {
	w.check(e)
	w.checkTurn(e)
	w.log = append(w.log, said{w.now, e})
	w.folded.Evolve(w.now, e)
	w.react(e)
}

func (w *world) react(e proto.Message) {
	switch e := e.(type) {
	case *blotterv1.LockGranted:
		w.lastGrant = &blotterv1.FencedGrant{SpecVersion: e.GetSpecVersion(), Granted: timestamppb.New(w.now)}
		if e.GetTransform() {
			w.lastGrant.Engine = e.GetEngine()
		}
		for _, f := range e.GetFiles() {
			if e.GetTransform() {
				w.work = append(w.work, &task{file: f.GetFileId(), token: e.GetToken()})
			}
		}
	case *blotterv1.PublishRequested:
		j := &job{token: e.GetToken(), read: -1, replace: e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE}
		for _, p := range e.GetParts() {
			j.files = append(j.files, p.GetFile().GetFileId())
		}
		w.jobs = append(w.jobs, j)
	case *blotterv1.MaintenanceGranted:
		w.lastGrant = &blotterv1.FencedGrant{SpecVersion: e.GetSpecVersion(), Granted: timestamppb.New(w.now)}
		w.jobs = append(w.jobs, &job{token: e.GetToken(), maintain: true, read: -1})
	case *blotterv1.FenceRequested:
		w.jobs = append(w.jobs, &job{token: e.GetToken(), fence: true, read: -1})
	case *blotterv1.FileHeld:
		w.hold[e.GetFileId()] = true
	case *blotterv1.FileReleased:
		delete(w.hold, e.GetFileId())
	case *blotterv1.LoadSealed:
		w.sealed = e.GetFileIds()
		w.seals = append(w.seals, seal{e.GetGeneration(), e.GetFileIds(), w.first(e.GetGeneration(), slices.Concat(e.GetFileIds(), e.GetReplacedFileIds())), w.knownLoads()})
	case *blotterv1.LoadReopened:
		w.sealed = nil
	case *blotterv1.LoadOpened:
		w.sealed, w.floor = nil, time.Time{}
	case *blotterv1.LoadAbandoned:
		w.abandoned, w.sealed = true, nil
	case *blotterv1.DeletionNoted:
		w.noted[e.GetDeletionId()] = true
	case *blotterv1.FileIgnored:
		w.refused[e.GetFileId()] = e.GetReason() == "refused"
	case *blotterv1.TransactionSplit:
		w.splits[e.GetFile().GetFileId()]++
	case *blotterv1.LockReleased:
		for _, f := range e.GetFiles() {
			w.mend(f.GetFileId())
		}
	}
}

// run runs one transform; it may be run again.
func (w *world) run(t *task) {
	f := w.files[t.file]
	t.runs++
	if !w.folded.runs(t.token) {
		w.saw("stale transform")
	}
	w.transforms[t.file]++
	switch n := w.transforms[t.file]; {
	case f.fault == unreadable, f.fault == flaky && n == 1:
		w.send(&blotterv1.TransformFailed{FileId: t.file, Token: t.token, Failure: f.failure("csv.column_count")})
	case f.fault == hanging && n <= hangsFor:
	default:
		w.send(&blotterv1.FileTransformed{Staged: f.staged(t.token)})
	}
}

// read has the curator look at the lake for a job: the token is checked, and
// the head remembered in which that was true.
func (w *world) read(j *job) {
	switch last := w.lake.last(); {
	case last.token > j.token:
		j.runs++
		w.saw("stale commit refused")
	case last.token == j.token && last.fence && !j.fence:
		j.runs++
		w.saw("fenced commit refused")
	case last.token == j.token:
		j.runs++
		switch {
		case j.fence && last.maintain:
			w.saw("fence finds the step taken")
		case j.fence && !last.fence:
			w.saw("fence finds the files landed")
		}
		w.answer(last)
	default:
		j.read = w.lake.head()
	}
}

// write commits what read has checked, if the lake has not moved since.
func (w *world) write(j *job) {
	if j.read != w.lake.head() {
		j.read = -1
		w.saw("commit conflict")
		return
	}
	j.read = -1
	j.runs++
	if g := w.folded.Grant; g == nil || g.Token != j.token {
		w.problem("token %d is committed, the grant is %+v", j.token, g)
	}
	if j.fence {
		w.lake.fence(j.token)
		w.answer(w.lake.last())
		return
	}
	if j.maintain {
		w.maintain(j)
		return
	}
	files := make([]*rawFile, len(j.files))
	for i, id := range j.files {
		files[i] = w.files[id]
		switch bad := files[i].fault; {
		case bad == unmergeable, bad == unfoldable && j.replace, bad == disputed && j.runs == 1:
			w.send(&blotterv1.PublishFailed{Token: j.token, FileId: id, Failure: files[i].failure("audit.counts")})
			return
		}
	}
	if w.folded.Load != nil && !j.replace {
		w.saw("merge lands after a load opened")
	}
	w.lake.commit(j.token, j.replace, files)
	w.lake.commits[len(w.lake.commits)-1].seals = len(w.seals)
	w.answer(w.lake.last())
}

// maintain has the curator take a step: one in four fails at first, and every
// other one leaves more to do.
func (w *world) maintain(j *job) {
	if j.token%4 == 0 && j.runs == 1 {
		w.send(&blotterv1.MaintenanceFailed{Token: j.token, Failure: &blotterv1.Failure{Code: "maintenance.unavailable", Message: "no"}})
		return
	}
	w.lake.maintain(j.token)
	w.answer(w.lake.last())
}

func (w *world) answer(c commit) {
	if c.maintain {
		e := &blotterv1.TableMaintained{Token: c.token, SnapshotId: int64(w.lake.head()), Step: "compact", More: c.token%2 == 0}
		if !e.GetMore() && c.token%3 == 0 {
			e.Next = timestamppb.New(modelEpoch.Add(time.Duration(c.token) * time.Hour))
		}
		w.send(e)
		return
	}
	if c.fence {
		w.send(&blotterv1.GrantFenced{Token: c.token, SnapshotId: int64(w.lake.head())})
		return
	}
	published := &blotterv1.FilesPublished{
		Token: c.token, SnapshotId: int64(w.lake.head()), TableRows: int64(len(w.lake.live())),
	}
	for _, id := range c.files {
		published.Files = append(published.Files, &blotterv1.PublishedFile{FileId: id, Counts: w.files[id].counts()})
	}
	w.send(published)
}

// clone copies the world but for its log of events and the shell.
func (w *world) clone() *world {
	c := *w
	c.state, c.folded, c.lake = cloneState(w.state), cloneState(w.folded), w.lake.clone()
	c.bag, c.work, c.jobs = clonePointers(w.bag), clonePointers(w.work), clonePointers(w.jobs)
	c.hold, c.transforms, c.splits = maps.Clone(w.hold), maps.Clone(w.transforms), maps.Clone(w.splits)
	c.retried, c.refused = maps.Clone(w.retried), maps.Clone(w.refused)
	c.unskipped = maps.Clone(w.unskipped)
	c.deleted, c.noted = maps.Clone(w.deleted), maps.Clone(w.noted)
	c.seals, c.log, c.problems = slices.Clone(w.seals), slices.Clone(w.log), nil
	return &c
}

func cloneState(s *State) *State {
	c := *s
	c.Grant, c.Load, c.Pause = clonePointer(s.Grant), clonePointer(s.Load), clonePointer(s.Pause)
	c.Answered = slices.Clone(s.Answered)
	c.Files = make(map[dms.FileID]*File, len(s.Files))
	for id, f := range s.Files {
		c.Files[id] = clonePointer(f)
	}
	return &c
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

func clonePointers[T any](ps []*T) []*T {
	out := make([]*T, len(ps))
	for i, p := range ps {
		out[i] = clonePointer(p)
	}
	return out
}
