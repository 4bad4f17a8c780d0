package losses

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/services/curator"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

const tables = `
database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, op_column: Op, timestamp_column: null, change_seq_column: null}
tables:
  - {name: keyed, primary_key: [id], columns: {id: bigint not null, value: string}}
  - {name: plain, primary_key: [], columns: {id: bigint, value: string}}
`

var epoch = time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)

// system is one table, and the services around it, in one goroutine.
type system struct {
	t     *testing.T
	rt    *rapid.T
	seen  map[string]int
	dir   string
	keyed bool
	spec  registry.Table

	raw, staging, failed, curated *local.Bucket
	io                            *lake.IO
	catalog                       *sqlite.Catalog
	lake                          *lake.Lake
	log                           *oneLog

	state  *lockmanager.State
	now    time.Time
	orders int
	todo   []proto.Message         // what the services are still to do, oldest first
	ids    []dms.FileID            // in the order of the files
	files  map[dms.FileID][]string // their rows

	copies [][]byte       // of the catalog
	last   []byte         // the copy that the table had last, when it took changes or a loss was accepted
	told   []byte         // the copy of which the lake told that it lacks commits
	taken  map[int64]bool // snapshots that the table has taken
	older  bool           // a copy of before was put back
}

// oneLog is the log as the curator sees it: it is handed one event, and what it says is kept.
type oneLog struct {
	handle eventlog.Handler
	said   []proto.Message
}

func (l *oneLog) Consume(_ context.Context, _ eventlog.ConsumerConfig, handle eventlog.Handler) error {
	l.handle = handle
	return nil
}

func (l *oneLog) PublishOnce(_ context.Context, e eventlog.Event) (uint64, error) {
	l.said = append(l.said, e.Message)
	return 1, nil
}

// Spec gives the one registration.
func (s *system) Spec(context.Context, dms.TableID, uint64) (registry.Table, error) {
	return s.spec, nil
}

func newSystem(t *testing.T, rt *rapid.T, keyed bool, seen map[string]int) *system {
	s := &system{t: t, rt: rt, seen: seen, dir: t.TempDir(), keyed: keyed, now: epoch, files: map[dms.FileID][]string{}, taken: map[int64]bool{}}
	all, err := registry.Parse([]byte(tables), "tables.yaml")
	s.must(err)
	s.spec = all[0]
	if !keyed {
		s.spec = all[1]
	}
	s.spec, err = registry.AssignIDs(nil, s.spec)
	s.must(err)
	s.spec.Version = 1
	s.state = lockmanager.NewState(s.spec.ID)
	bucket := func(name string) *local.Bucket {
		b, err := local.New(name, filepath.Join(s.dir, name))
		s.must(err)
		return b
	}
	s.raw, s.staging, s.failed, s.curated = bucket("raw"), bucket("staging"), bucket("failed"), bucket("curated")
	s.io, err = lake.NewIO(s.curated, "file://"+filepath.Join(s.dir, "curated"))
	s.must(err)
	s.open()
	s.last = s.halted()
	return s
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.rt.Fatalf("%v", err)
	}
}

func (s *system) saw(what string) { s.seen[what]++ }

// even draws a number from low to high, all alike: rapid's own ranges prefer small ones.
func (s *system) even(low, high int, label string) int {
	return rapid.Custom(func(t *rapid.T) int {
		n := 0
		for range 10 {
			n <<= 1
			if rapid.Bool().Draw(t, "bit") {
				n++
			}
		}
		return low + n%(high-low+1)
	}).Draw(s.rt, label)
}

func (s *system) catalogFile() string { return filepath.Join(s.dir, "catalog.db") }

// open starts the services on the catalog that is there.
func (s *system) open() {
	var err error
	s.catalog, err = sqlite.Open(s.catalogFile(), s.io)
	s.must(err)
	cfg := lake.DefaultConfig()
	if s.keyed {
		cfg.SmallTableRows = 0 // rows are hidden, not rewritten
	}
	s.lake, err = lake.Open(s.t.Context(), cfg, lake.Deps{Catalog: s.catalog, IO: s.io, Staging: s.staging, Now: time.Now, Step: func(lake.Step) error { return nil }})
	s.must(err)
	s.log = &oneLog{}
	service := curator.New(curator.Deps{
		Log: s.log, Lake: s.lake, Specs: s, Raw: s.raw, Staging: s.staging, Failed: s.failed,
		Agree: func(context.Context, dms.TableID) error {
			return errors.New("the lake knows of tokens that nobody granted")
		},
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	s.must(service.Run(s.t.Context()))
}

// halted stops the services, gives the catalog's file, and starts them again.
func (s *system) halted() []byte {
	s.must(s.catalog.Close())
	content, err := os.ReadFile(s.catalogFile())
	s.must(err)
	s.open()
	return content
}

func (s *system) close() {
	s.must(errors.Join(s.catalog.Close(), s.io.Close()))
	for _, b := range []*local.Bucket{s.raw, s.staging, s.failed, s.curated} {
		_ = b.Close()
	}
	s.must(os.RemoveAll(s.dir))
}

// keep makes a copy of the catalog, of which a few are kept.
func (s *system) keep() {
	s.copies = append(s.copies, s.halted())
	s.copies = s.copies[max(0, len(s.copies)-4):]
}

// putBack puts a copy in the place of the catalog.
func (s *system) putBack() {
	if len(s.copies) == 0 {
		return
	}
	s.saw("a copy was put back")
	s.older = true
	s.put(s.copies[s.even(0, len(s.copies)-1, "copy")])
}

// putLast puts the copy back that the table had last.
func (s *system) putLast() {
	s.rt.Log("the copy is put back that the table had last")
	s.put(s.last)
}

func (s *system) put(content []byte) {
	s.must(s.catalog.Close())
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(s.catalogFile() + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.must(err)
		}
	}
	if content != nil {
		s.must(os.WriteFile(s.catalogFile(), content, 0o600))
	}
	s.open()
}

// rollBack makes another snapshot the current one, an older or again a newer one, as other
// engines can.
func (s *system) rollBack() {
	tbl, err := s.catalog.LoadTable(s.t.Context(), lake.Identifier(s.spec.ID))
	if err != nil || tbl.CurrentSnapshot() == nil {
		return
	}
	snapshots := tbl.Metadata().Snapshots()
	at := snapshots[s.even(0, len(snapshots)-1, "snapshot")].SnapshotID
	if at == tbl.CurrentSnapshot().SnapshotID {
		return
	}
	_, _, err = s.catalog.CommitTable(s.t.Context(), lake.Identifier(s.spec.ID), nil,
		[]table.Update{table.NewSetSnapshotRefUpdate(table.MainBranch, at, table.BranchRef, -1, -1, -1)})
	s.must(err)
	s.saw("a rollback")
}

// deliver has a change file arrive.
func (s *system) deliver() {
	ctx := s.t.Context()
	var rows []string
	for range s.even(1, 3, "rows") {
		op := "I"
		if s.keyed {
			op = []string{"I", "U", "D"}[s.even(0, 2, "op")]
		}
		rows = append(rows, fmt.Sprintf("%s,%d,v", op, s.even(1, 4, "id")))
	}
	at := epoch.Add(time.Duration(len(s.ids)) * time.Minute)
	name := at.Format("20060102-150405") + "000.csv"
	w, err := s.raw.Create(ctx, "dms/"+s.spec.Path+name)
	s.must(err)
	_, err = io.WriteString(w, "Op,id,value\n"+strings.Join(rows, "\n")+"\n")
	s.must(err)
	_, err = w.Commit(ctx)
	s.must(err)
	info, err := s.raw.Stat(ctx, "dms/"+s.spec.Path+name)
	s.must(err)
	parsed, not := dms.ParseName(name, dms.NameRules{Place: dms.Anywhere})
	if not != nil {
		s.rt.Fatalf("%s is no name: %s", name, not.Detail)
	}
	o := dms.Object{Bucket: "raw", Key: info.Key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified}
	id := dms.NewFileID(o, parsed.Kind)
	s.ids, s.files[id] = append(s.ids, id), rows
	f := dms.File{ID: id, Object: o, Kind: parsed.Kind, Order: dms.NewFileOrder(parsed, o.LastModified, id)}
	s.must(s.step(lockmanager.Input{Event: &blotterv1.FileClassified{File: wire.FileRef(f), SpecVersion: 1}}))
}

// turn is what everything that is asked of the lake says of what it must carry.
type turn interface {
	GetAfterToken() uint64
	GetLossAcceptedFrom() uint64
	GetLossAcceptedTo() uint64
}

func (s *system) order(c func(lockmanager.Order) lockmanager.Command) error {
	s.orders++
	return s.step(lockmanager.Input{Command: c(lockmanager.Order{ID: fmt.Sprint(s.orders), Reason: "the operator's"})})
}

// step takes one input, and notes what the services are to do.
func (s *system) step(in lockmanager.Input) error {
	s.now = s.now.Add(time.Second)
	in.Time = s.now
	cfg := lockmanager.DefaultConfig()
	cfg.BatchFiles = 2
	events, err := s.state.Step(cfg, in)
	if err != nil && !errors.Is(err, lockmanager.ErrRefused) {
		s.rt.Fatalf("step: %v", err)
	}
	s.state.TakeChanged()
	for _, e := range events {
		s.rt.Logf("%s %v", e.ProtoReflect().Descriptor().Name(), e)
		if turn, ok := e.(turn); ok {
			loss := lockmanager.Loss{From: turn.GetLossAcceptedFrom(), To: turn.GetLossAcceptedTo(), Ambiguous: s.state.Losses.Last().Ambiguous}
			if turn.GetAfterToken() != s.state.Committed || loss != s.state.Losses.Last() {
				s.rt.Fatalf("%T is asked for after token %d and the loss %+v, and it was %d and %+v", e, turn.GetAfterToken(), loss, s.state.Committed, s.state.Losses.Last())
			}
		}
		switch e := e.(type) {
		case *blotterv1.LockGranted, *blotterv1.PublishRequested, *blotterv1.FenceRequested, *blotterv1.MaintenanceGranted:
			s.todo = append(s.todo, e)
		}
	}
	return err
}

func isTwice(err error) bool {
	return errors.Is(err, lockmanager.ErrRefused) && strings.Contains(err.Error(), "Put the copy back that the table had last")
}

func (s *system) settle() {
	for range 200 {
		if !s.work() {
			return
		}
	}
	s.rt.Fatalf("it does not come to rest: %v", s.todo)
}

// work has the services do what is next.
func (s *system) work() bool {
	if len(s.todo) == 0 {
		return false
	}
	next := s.todo[0]
	s.todo = s.todo[1:]
	if g, ok := next.(*blotterv1.LockGranted); ok {
		if g.GetTransform() {
			s.transform(g)
		}
		return true
	}
	s.log.said = nil
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second) // of attempts that never will do
	defer cancel()
	s.must(s.log.handle(ctx, eventlog.Record{Table: s.spec.ID, Event: next, Envelope: &blotterv1.Envelope{}}))
	for _, said := range s.log.said {
		s.rt.Logf("%s %v", said.ProtoReflect().Descriptor().Name(), said)
		_ = s.step(lockmanager.Input{Event: said})
		switch said := said.(type) {
		case *blotterv1.FilesPublished:
			s.agreed(said.GetSnapshotId())
		case *blotterv1.TableMaintained:
			s.saw("a step of maintenance")
			s.agreed(said.GetSnapshotId())
		case *blotterv1.GrantFenced:
			s.saw("a fence")
		case *blotterv1.PublishFailed:
			s.tells(said.GetFailure())
		case *blotterv1.MaintenanceFailed:
			s.tells(said.GetFailure())
		}
	}
	return true
}

// agreed checks the table once it has taken a commit. Of one that it took before, of which a
// fence tells, it may have been rolled back since.
func (s *system) agreed(snapshot int64) {
	if s.taken[snapshot] {
		return
	}
	s.taken[snapshot] = true
	s.checkAgreed()
	s.last, s.older = s.halted(), false
}

// tells notes that the lake has told of a loss.
func (s *system) tells(f *blotterv1.Failure) {
	if f.GetCode() != wire.FailureSetBack {
		s.rt.Fatalf("it failed: %v", f)
	}
	if s.told = s.halted(); f.GetLakeToken() == 0 {
		s.saw("a table that was lost as a whole")
	}
}

func (s *system) transform(g *blotterv1.LockGranted) {
	for _, f := range g.GetFiles() {
		result, err := transform.Run(s.t.Context(), transform.DefaultConfig(), transform.Deps{Raw: s.raw, Staging: s.staging}, transform.Job{
			Table: s.spec, File: wire.FileOf(f), Token: g.GetToken(),
		})
		s.must(err)
		_ = s.step(lockmanager.Input{Event: &blotterv1.FileTransformed{Staged: result.Staged()}})
	}
}

// rows counts the rows of the table by where they are from.
func (s *system) rows() map[string]int {
	has := map[string]int{}
	set, err := s.lake.Rows(s.t.Context(), s.spec.ID)
	if errors.Is(err, lake.ErrNoTable) {
		return has
	}
	s.must(err)
	for row, err := range set.All(s.t.Context()) {
		s.must(err)
		has[fmt.Sprintf("%s/%d", row.File, row.Number)]++
	}
	return has
}
