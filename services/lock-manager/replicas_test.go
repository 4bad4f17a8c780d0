package lockmanager

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// hear has one process handle an event.
func (b *shellBench) hear(s *Service, id string, m proto.Message) {
	b.t.Helper()
	err := s.handle(b.t.Context(), eventlog.Record{Table: testTable, Envelope: &blotterv1.Envelope{Id: id}, Event: m})
	if err != nil {
		b.t.Fatal(err)
	}
}

const early, afterwards = "20240304-060000000.csv", "20240304-060100000.csv"

// TestACopyThatIsOldDecidesNothing: a replica decides by the copy of a table that it
// has in memory, after another one has decided something else.
func TestACopyThatIsOldDecidesNothing(t *testing.T) {
	b := newShellBench(t)
	first, _, _ := b.process()
	second, _, _ := b.process()
	b.execute(first, "apply", applyRequest(t, "1"))
	b.execute(second, "pause", CommandRequest{ID: "2", Actor: "operator:test", Table: testTable.String()})
	// The first one's copy is of before the pause.
	b.hear(first, "a", b.classified(early))
	// And the second one's of before that file.
	b.hear(second, "b", b.classified(afterwards))
	n := b.counts()
	if n["LockGranted"] > 0 {
		t.Errorf("a paused table was granted by an old copy: %v", n)
	}
	if n["FileAccepted"] != 2 || n["FileHeld"] != 2 {
		t.Errorf("two files were delivered to two replicas, the log says %v", n)
	}
}

// TestACopyThatIsOldIsAskedAgain: by its copy of the table a replica has nothing to say
// to an event, which another one's decision made meaningful.
func TestACopyThatIsOldIsAskedAgain(t *testing.T) {
	b := newShellBench(t)
	first, _, _ := b.process()
	second, _, _ := b.process()
	b.execute(first, "apply", applyRequest(t, "1"))
	file := b.classified(early)
	b.hear(second, "a", file)
	if n := b.counts(); n["LockGranted"] != 1 {
		t.Fatalf("the log says %v", n)
	}
	b.hear(first, "b", &blotterv1.FileTransformed{Staged: &blotterv1.StagedFile{FileId: file.GetFile().GetFileId(), Token: 1, ManifestKey: "m"}})
	if n := b.counts(); n["PublishRequested"] != 1 {
		t.Errorf("a staged file was forgotten by an old copy: %v", n)
	}
}

// TestOneLookSaysWhatACrashLeftUnsaid: the process that decided died before it said
// so. The next one's first look at the clock says it, once.
func TestOneLookSaysWhatACrashLeftUnsaid(t *testing.T) {
	b := newShellBench(t)
	b.leaveUnsaid()
	next, _, _ := b.process()
	for range 2 {
		if err := next.tick(t.Context(), time.Now(), false); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.counts(); n["TablePaused"] != 1 {
		t.Errorf("a pause was decided, the log says %v", n)
	}
	if unflushed, err := b.store.Unflushed(t.Context()); err != nil || len(unflushed) > 0 {
		t.Errorf("unsaid: %v (%v)", unflushed, err)
	}
}

// endingLog is there when the process is told to end.
type endingLog struct {
	Log
	end context.CancelFunc
}

func (l endingLog) Flush(ctx context.Context, _ dms.TableID, _ string, _ []*blotterv1.Envelope) error {
	l.end()
	return ctx.Err()
}

// TestAClockThatEndsTellsOfNoError: what a look at the clock could not do since the process
// ends is no error.
func TestAClockThatEndsTellsOfNoError(t *testing.T) {
	b := newShellBench(t)
	b.leaveUnsaid()
	next, _, _ := b.process()
	var said bytes.Buffer
	ctx, end := context.WithCancel(t.Context())
	defer end()
	next.deps.Log, next.deps.Logger = endingLog{next.deps.Log, end}, slog.New(slog.NewTextHandler(&said, nil))
	if err := next.tick(ctx, time.Now(), false); err != nil || ctx.Err() == nil || said.Len() > 0 {
		t.Errorf("it gives %v and says %q", err, said.String())
	}
}

// leaveUnsaid has a process decide a pause and die before it says so.
func (b *shellBench) leaveUnsaid() {
	b.t.Helper()
	s, before, _ := b.process()
	b.execute(s, "apply", applyRequest(b.t, "1"))
	before.Store(true)
	_, err := s.Execute(b.t.Context(), "pause", CommandRequest{ID: "2", Actor: "operator:test", Table: testTable.String()})
	if !errors.Is(err, errOutOfLife) {
		b.t.Fatalf("the command ends with %v", err)
	}
}

// TestWhatWasDecidedIsSaidFirst: another process decides next, before any sweeper came
// by; the log has both decisions, in their order.
func TestWhatWasDecidedIsSaidFirst(t *testing.T) {
	b := newShellBench(t)
	b.leaveUnsaid()
	next, _, _ := b.process()
	err := next.handle(t.Context(), eventlog.Record{
		Table: testTable, Envelope: &blotterv1.Envelope{Id: "a"}, Event: b.classified(early),
	})
	if err != nil {
		t.Errorf("what another process left unsaid is in the way: %v", err)
	}
	if n := b.counts(); n["TablePaused"] != 1 || n["FileHeld"] != 1 || n["LockGranted"] != 0 {
		t.Errorf("a table was paused, then a file came; the log says %v", n)
	}
}

// tornStore has something happen between the read of a table's state and that of its files.
type tornStore struct {
	control.Store
	between func()
}

func (s *tornStore) LiveFiles(ctx context.Context, id dms.TableID) ([]control.FileRow, error) {
	if f := s.between; f != nil {
		s.between = nil
		f()
	}
	return s.Store.LiveFiles(ctx, id)
}

// TestAStateAndFilesOfTwoVersions: while a replica reads a table another one publishes the
// file that is granted. Both are read again: else the grant would name a file that nobody
// knows.
func TestAStateAndFilesOfTwoVersions(t *testing.T) {
	b := newShellBench(t)
	first, _, _ := b.process()
	b.execute(first, "apply", applyRequest(t, "1"))
	file := b.classified(early)
	id := file.GetFile().GetFileId()
	b.hear(first, "a", file)
	second, _, _ := b.process()
	happened := false
	second.deps.Store = &tornStore{Store: b.store, between: func() {
		happened = true
		b.hear(first, "b", &blotterv1.FileTransformed{Staged: &blotterv1.StagedFile{FileId: id, Token: 1, ManifestKey: "m"}})
		b.hear(first, "c", &blotterv1.FilesPublished{Token: 1, Files: []*blotterv1.PublishedFile{{FileId: id}}, TableRows: 1})
	}}
	read := second.table(testTable)
	if err := second.load(t.Context(), read); err != nil || !happened {
		t.Fatalf("the read ends with %v (between was something: %t)", err, happened)
	}
	if g := read.state.Grant; g != nil {
		t.Errorf("state and files are of two versions: granted are %v, known %v", g.Files, read.state.Files)
	}
}
