package lockmanager

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	holdsqlite "github.com/openblotter/blotter/pkg/holdqueue/sqlite"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// shellBench is what outlives the processes of lock-manager.
type shellBench struct {
	t     *testing.T
	url   string
	log   *eventlog.Log
	store *controlsqlite.Store
	hold  *holdsqlite.Queue
}

func newShellBench(t *testing.T) *shellBench {
	t.Helper()
	b := &shellBench{t: t, url: eventlogtest.Server(t)}
	b.log, _ = eventlogtest.Open(t, b.url)
	var err error
	if b.store, err = controlsqlite.Open(t.Context(), filepath.Join(t.TempDir(), "control.db")); err != nil {
		t.Fatal(err)
	}
	if b.hold, err = holdsqlite.Open(t.Context(), filepath.Join(t.TempDir(), "hold.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(b.store.Close(), b.hold.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// dyingLog dies before or after it publishes an outbox.
type dyingLog struct {
	*eventlog.Log
	before, after *atomic.Bool
}

func (l dyingLog) Flush(ctx context.Context, table dms.TableID, service string, outbox []*blotterv1.Envelope) error {
	if l.before.Swap(false) {
		return errOutOfLife
	}
	if err := l.Log.Flush(ctx, table, service, outbox); err != nil {
		return err
	}
	if l.after.Swap(false) {
		return errOutOfLife
	}
	return nil
}

var errOutOfLife = errors.New("died")

// process makes the service anew; the switches have it die once, before or after
// it publishes an outbox.
func (b *shellBench) process() (s *Service, before, after *atomic.Bool) {
	b.t.Helper()
	log, _ := eventlogtest.Open(b.t, b.url)
	before, after = &atomic.Bool{}, &atomic.Bool{}
	cfg := DefaultConfig()
	cfg.Tick = 20 * time.Millisecond
	s, err := New(cfg, Deps{
		Log: dyingLog{log, before, after}, Store: b.store, Hold: b.hold,
		Now: func() time.Time { return time.Now().UTC() }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return s, before, after
}

const shellRegistration = `database: rms
source: {prefix: dms/, schema: rms}
tables: [{name: reports, primary_key: [id], columns: {id: int not null}}]
`

func applyRequest(t *testing.T, id string) CommandRequest {
	t.Helper()
	specs, err := registry.Parse([]byte(shellRegistration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return CommandRequest{ID: id, Actor: "operator:test", Table: testTable.String(), Spec: &specs[0]}
}

func (b *shellBench) execute(s *Service, name string, r CommandRequest) CommandReply {
	b.t.Helper()
	reply, err := s.Execute(b.t.Context(), name, r)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply
}

// counts gives how often each event stands in the log.
func (b *shellBench) counts() map[string]int {
	b.t.Helper()
	n := map[string]int{}
	for _, name := range eventlogtest.Names(b.t, b.log, eventlog.Filter{Table: testTable, Service: ServiceName}) {
		n[name]++
	}
	return n
}

func (b *shellBench) classified(name string) *blotterv1.FileClassified {
	b.t.Helper()
	parsed, why := dms.ParseName(name, dms.NameRules{Place: dms.InTable})
	if why != nil {
		b.t.Fatal(why.Detail)
	}
	o := dms.Object{Bucket: "raw", Key: prefix + name, ETag: "1", Size: 1, LastModified: time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)}
	id := dms.NewFileID(o, parsed.Kind)
	return &blotterv1.FileClassified{SpecVersion: 1, File: wire.FileRef(dms.File{
		ID: id, Object: o, Kind: parsed.Kind, Order: dms.NewFileOrder(parsed, o.LastModified, id),
	})}
}

func (b *shellBench) hears(id string, m proto.Message) {
	b.t.Helper()
	_, err := b.log.PublishOnce(b.t.Context(), eventlog.Event{
		Table: testTable, Service: "classifier", ID: eventlog.ID("classifier", testTable, "test", id), Time: time.Now(), Message: m,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestACommandIsCarriedOutOnce(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	first := b.execute(s, "apply", applyRequest(t, "1"))
	pause := CommandRequest{ID: "2", Actor: "operator:test", Reason: "test", Table: testTable.String()}
	said := b.execute(s, "pause", pause)
	other, _, _ := b.process() // another process is asked again
	if again := b.execute(other, "pause", pause); again != said {
		t.Errorf("the answer to the same command is %v, was %v", again, said)
	}
	if again := b.execute(other, "apply", applyRequest(t, "3")); again.Refused != "" || !strings.Contains(again.Detail, "already") {
		t.Errorf("the same registration again: %v, at first %v", again, first)
	}
	if reply := b.execute(s, "flag", CommandRequest{ID: "4", Actor: "operator:test", Table: testTable.String(), Flag: "X"}); reply.Refused == "" {
		t.Error("a flag that does not exist is taken")
	}
	if n := b.counts(); n["TableRegistered"] != 1 || n["TablePaused"] != 1 {
		t.Errorf("the log says %v", n)
	}
}

func TestCommandsAreServed(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	_, nc := eventlogtest.Open(t, b.url)
	eventlogtest.Run(t, func(ctx context.Context) error { return s.Serve(ctx, nc) })
	_, client := eventlogtest.Open(t, b.url)
	body, err := json.Marshal(applyRequest(t, "1"))
	if err != nil {
		t.Fatal(err)
	}
	var reply CommandReply
	eventlogtest.Eventually(t, "an answer", func() bool {
		msg, err := client.Request(CommandSubject+".apply", body, time.Second)
		return err == nil && json.Unmarshal(msg.Data, &reply) == nil
	})
	if reply.Refused != "" || reply.Detail == "" {
		t.Errorf("the answer is %+v", reply)
	}
	msg, err := client.Request(CommandSubject+".pause", []byte("{"), time.Second)
	if err != nil || msg.Header.Get("Nats-Service-Error") == "" {
		t.Errorf("no JSON is answered with %v (%v)", msg, err)
	}
}

// TestAnOrphanedOutboxIsSaid: the process that decided has died before, or just
// after, it said so; nobody asks again.
func TestAnOrphanedOutboxIsSaid(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			b := newShellBench(t)
			s, before, after := b.process()
			b.execute(s, "apply", applyRequest(t, "1"))
			map[string]*atomic.Bool{"before": before, "after": after}[when].Store(true)
			_, err := s.Execute(t.Context(), "pause", CommandRequest{ID: "2", Actor: "operator:test", Table: testTable.String()})
			if !errors.Is(err, errOutOfLife) {
				t.Fatalf("the command ends with %v", err)
			}
			next, _, _ := b.process()
			eventlogtest.Run(t, next.Run)
			eventlogtest.Eventually(t, "the outbox is empty", func() bool {
				unflushed, err := b.store.Unflushed(t.Context())
				return err == nil && len(unflushed) == 0
			})
			if n := b.counts(); n["TablePaused"] != 1 {
				t.Errorf("the log says %v", n)
			}
		})
	}
}

// TestReplicasDecideOnce: two processes are told of the same files at once, some
// of them twice; each file is accepted once, and the queue holds what waits.
func TestReplicasDecideOnce(t *testing.T) {
	b := newShellBench(t)
	first, _, _ := b.process()
	second, _, _ := b.process()
	b.execute(first, "apply", applyRequest(t, "1"))
	b.execute(second, "pause", CommandRequest{ID: "2", Actor: "operator:test", Table: testTable.String()})
	names := []string{"20240304-060000000.csv", "20240304-060100000.csv", "20240304-060200000.csv", "20240304-060300000.csv"}
	done := make(chan error, 2*len(names))
	for _, name := range names {
		for _, s := range []*Service{first, second} {
			go func() {
				done <- s.handle(t.Context(), eventlog.Record{
					Table: testTable, Service: "classifier", Envelope: &blotterv1.Envelope{Id: name}, Event: b.classified(name),
				})
			}()
		}
	}
	for range 2 * len(names) {
		if err := <-done; err != nil && !errors.Is(err, control.ErrConflict) {
			t.Error(err)
		}
	}
	for _, name := range names { // whoever lost too often is told again
		if err := first.handle(t.Context(), eventlog.Record{
			Table: testTable, Service: "classifier", Envelope: &blotterv1.Envelope{Id: name}, Event: b.classified(name),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.counts(); n["FileAccepted"] != len(names) || n["FileHeld"] != len(names) {
		t.Errorf("the log says %v", n)
	}
	held, err := b.hold.Held(t.Context(), testTable, 10)
	if err != nil || len(held) != len(names) {
		t.Errorf("%d files in the hold queue, expected %d (%v)", len(held), len(names), err)
	}
}

// TestEventsOfOthersMoveTheTable runs the service on the log itself.
func TestEventsOfOthersMoveTheTable(t *testing.T) {
	b := newShellBench(t)
	s, _, _ := b.process()
	b.execute(s, "apply", applyRequest(t, "1"))
	b.hears("a", b.classified("20240304-060000000.csv"))
	b.hears("b", b.classified("20240304-060000000.csv"))
	stop := eventlogtest.Run(t, s.Run)
	eventlogtest.Idle(t, b.log, ServiceName)
	stop()
	if n := b.counts(); n["FileAccepted"] != 1 || n["LockGranted"] != 1 {
		t.Errorf("the log says %v", n)
	}
}

const txnRegistration = `database: rms
source: {prefix: dms/, schema: rms}
dms: {cdc_path: cdc, delimiter: "|"}
tables:
  - {name: reports, primary_key: [id], columns: {id: int not null}}
  - {name: persons, primary_key: [id], columns: {id: int not null}}
`

// TestACDCPathRegistersItsPseudoTable, once for all tables of the database, from
// several processes at once; and nobody registers it otherwise.
func TestACDCPathRegistersItsPseudoTable(t *testing.T) {
	b := newShellBench(t)
	specs, err := registry.Parse([]byte(txnRegistration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2*len(specs))
	for n := range 2 {
		s, _, _ := b.process()
		for _, spec := range specs {
			go func() {
				id := spec.ID.Table + string(rune('0'+n))
				_, err := s.Execute(t.Context(), "apply", CommandRequest{ID: id, Actor: "operator:test", Table: spec.ID.String(), Spec: &spec})
				done <- err
			}()
		}
	}
	for range 2 * len(specs) {
		if err := <-done; err != nil && !errors.Is(err, control.ErrConflict) {
			t.Error(err)
		}
	}
	stored, err := b.store.Spec(t.Context(), txnTable, 0)
	if err != nil {
		t.Fatal(err)
	}
	txn, err := registry.ParseTable(stored.JSON)
	if err != nil || txn.Version != 1 || txn.Location() != "dms/cdc/" || txn.DMS.Delimiter != "|" || len(txn.Columns) > 0 {
		t.Errorf("the pseudo-table is registered as %+v (%v)", txn, err)
	}
	s, _, _ := b.process()
	if reply := b.execute(s, "apply", CommandRequest{ID: "x", Actor: "operator:test", Table: txnTable.String(), Spec: &txn}); reply.Refused == "" {
		t.Errorf("the pseudo-table is registered by hand: %v", reply)
	}
	moved := specs[0]
	path := "cdc2/"
	moved.DMS.CDCPath = &path
	b.execute(s, "apply", CommandRequest{ID: "y", Actor: "operator:test", Table: moved.ID.String(), Spec: &moved})
	if stored, err = b.store.Spec(t.Context(), txnTable, 0); err != nil || stored.Version != 2 || !strings.Contains(string(stored.JSON), path) {
		t.Errorf("the folder moved, and the registration says %s (%v)", stored.JSON, err)
	}
}

// TestACrashBeforeTheTableLeavesItsPseudoTable: the command comes again, and
// finishes what it began.
func TestACrashBeforeTheTableLeavesItsPseudoTable(t *testing.T) {
	b := newShellBench(t)
	specs, err := registry.Parse([]byte(txnRegistration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	request := CommandRequest{ID: "1", Actor: "operator:test", Table: testTable.String(), Spec: &specs[0]}
	s, before, _ := b.process()
	before.Store(true)
	if _, err := s.Execute(t.Context(), "apply", request); !errors.Is(err, errOutOfLife) {
		t.Fatalf("the command ends with %v", err)
	}
	next, _, _ := b.process()
	if reply := b.execute(next, "apply", request); reply.Refused != "" || !strings.Contains(reply.Detail, "rms.reports registered, version 1") {
		t.Errorf("the command says %v", reply)
	}
	eventlogtest.Run(t, next.Run) // whose sweeper says what the crash left unsaid
	eventlogtest.Eventually(t, "nothing is unsaid", func() bool {
		unflushed, err := b.store.Unflushed(t.Context())
		return err == nil && len(unflushed) == 0
	})
	for _, table := range []dms.TableID{testTable, txnTable} {
		if names := eventlogtest.Names(t, b.log, eventlog.Filter{Table: table, Event: "TableRegistered"}); len(names) != 1 {
			t.Errorf("%s is registered %d times", table, len(names))
		}
	}
}
