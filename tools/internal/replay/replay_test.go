package replay

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

var reports = dms.TableID{DB: "rms", Table: "reports"}

// fakeLog holds records; reading it calls meanwhile first.
type fakeLog struct {
	records   []eventlog.Record
	meanwhile func()
}

func (l *fakeLog) Read(_ context.Context, f eventlog.Filter) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		if l.meanwhile != nil {
			l.meanwhile()
		}
		for _, r := range l.records {
			if f.UntilSeq > 0 && r.Seq > f.UntilSeq || !f.Table.IsZero() && r.Table != f.Table {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// fakeStore holds one table.
type fakeStore struct {
	specs map[uint64][]byte
	item  control.TableItem
	rows  []control.FileRow
}

func (s *fakeStore) Spec(_ context.Context, _ dms.TableID, version uint64) (control.Spec, error) {
	spec, ok := s.specs[version]
	if !ok {
		return control.Spec{}, control.ErrNotFound
	}
	return control.Spec{Version: version, JSON: spec}, nil
}

func (s *fakeStore) Table(_ context.Context, id dms.TableID) (control.TableItem, error) {
	if id != s.item.Table {
		return control.TableItem{}, control.ErrNotFound
	}
	return s.item, nil
}

func (s *fakeStore) Tables(context.Context) ([]dms.TableID, error) {
	return []dms.TableID{s.item.Table}, nil
}

func (s *fakeStore) Files(context.Context, dms.TableID, []string, int) ([]control.FileRow, error) {
	return s.rows, nil
}

// recorder decides with the real state machine and keeps log and store.
type recorder struct {
	t     testing.TB
	state *lockmanager.State
	log   *fakeLog
	store *fakeStore
}

func newRecorder(t testing.TB) *recorder {
	t.Helper()
	r := &recorder{t: t, state: lockmanager.NewState(reports), log: &fakeLog{}, store: &fakeStore{item: control.TableItem{Table: reports}}}
	specs, err := registry.Parse([]byte("database: rms\nsource: {prefix: dms/, schema: rms}\n"+
		"tables: [{name: reports, primary_key: [id], columns: {id: int not null}}]\n"), "t.yaml")
	if err != nil {
		t.Fatal(err)
	}
	specs[0].Version = 1
	r.step(lockmanager.Input{Command: lockmanager.Register{Order: lockmanager.Order{ID: "1"}, Spec: specs[0]}})
	r.step(lockmanager.Input{Event: &blotterv1.FileClassified{File: &blotterv1.FileRef{
		FileId: "f1", Kind: blotterv1.FileKind_FILE_KIND_CHANGE, Order: "1",
		Object: &blotterv1.ObjectRef{Bucket: "raw", Key: "dms/rms/reports/20240304-060000000.csv", LastModified: timestamppb.New(time.Unix(1, 0))},
	}}})
	r.step(lockmanager.Input{Command: lockmanager.Pause{Order: lockmanager.Order{ID: "2", Reason: "maintenance"}}})
	return r
}

// step decides one input; its events are one version.
func (r *recorder) step(in lockmanager.Input) {
	r.t.Helper()
	in.Time = time.Date(2024, 3, 4, 6, 0, len(r.log.records), 0, time.UTC)
	events, err := r.state.Step(lockmanager.DefaultConfig(), in)
	if err != nil || len(events) == 0 {
		r.t.Fatalf("the step gave %d events, %v", len(events), err)
	}
	r.store.item.Version++
	r.store.item.Outbox = nil
	for i, e := range events {
		if registered, ok := e.(*blotterv1.TableRegistered); ok {
			r.store.specs = map[uint64][]byte{registered.GetSpecVersion(): registered.GetSpecJson()}
		}
		payload, err := anypb.New(e)
		if err != nil {
			r.t.Fatal(err)
		}
		env := &blotterv1.Envelope{Table: reports.String(), Time: timestamppb.New(in.Time), Version: r.store.item.Version, Index: uint32(i), Event: payload}
		b, err := eventlog.Encode(env)
		if err != nil {
			r.t.Fatal(err)
		}
		r.store.item.Outbox = append(r.store.item.Outbox, b)
		r.log.records = append(r.log.records, eventlog.Record{
			Seq: uint64(10 * (1 + len(r.log.records))), Table: reports, Service: lockmanager.ServiceName, Envelope: env, Event: proto.Clone(e),
		})
	}
	r.keep()
}

// keep writes the state as the control store has it.
func (r *recorder) keep() {
	r.t.Helper()
	var err error
	if r.store.item.State, err = r.state.Encode(); err != nil {
		r.t.Fatal(err)
	}
	r.store.rows = nil
	for _, f := range r.state.Files {
		row, err := r.state.Row(f)
		if err != nil {
			r.t.Fatal(err)
		}
		r.store.rows = append(r.store.rows, row)
	}
}

func (r *recorder) check() Report {
	r.t.Helper()
	list, err := Check(r.t.Context(), r.log, r.store, dms.TableID{})
	if err != nil || len(list) != 1 {
		r.t.Fatalf("%d reports, %v", len(list), err)
	}
	return list[0]
}

func TestTheLogGivesTheControlState(t *testing.T) {
	r := newRecorder(t)
	got := r.check()
	if !got.Equal() || got.Events != int64(len(r.log.records)) || got.Unpublished != 0 || got.Files != 1 {
		t.Errorf("the report is %+v", got)
	}
	// The last event is decided, and not yet published.
	r.log.records = r.log.records[:len(r.log.records)-1]
	if got := r.check(); !got.Equal() || got.Unpublished != 1 {
		t.Errorf("with an outbox the report is %+v", got)
	}
}

func TestWhatDoesNotAgreeIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*recorder)
		want  string // of a difference or a break
	}{
		"a field of the state": {func(r *recorder) {
			r.store.item.State = []byte(strings.Replace(string(r.store.item.State), `"rows":0`, `"rows":7`, 1))
		}, "rows 0 7"},
		"a file that the log does not know": {func(r *recorder) {
			r.store.rows = append(r.store.rows, control.FileRow{FileID: "f9", State: "published"})
		}, "file f9 unknown published"},
		"a registration that was altered": {func(r *recorder) { r.store.specs[1] = append([]byte(" "), r.store.specs[1]...) }, "registration 1 SHA-256 "},
		"a registration that is lost":     {func(r *recorder) { r.store.specs = nil }, "registration 1 known not there"},
		"a file that is lost":             {func(r *recorder) { r.store.rows = nil }, "file f1 granted not there"},
		"a field of a file": {func(r *recorder) {
			r.store.rows[0].Body = []byte(strings.Replace(string(r.store.rows[0].Body), `"granted"`, `"published"`, 1))
		}, `file f1: status "granted" "published"`},
		"an event that is lost": {func(r *recorder) { r.log.records = slices.Delete(r.log.records, 2, 3) }, "events are missing before"},
		"an event that stands twice": {func(r *recorder) {
			r.log.records = slices.Insert(r.log.records, 2, r.log.records[1])
		}, "stands in the log again"},
		"an end that is lost": {func(r *recorder) {
			r.log.records, r.store.item.Outbox = r.log.records[:3], nil
		}, "version "},
		"a store that was set back": {func(r *recorder) {
			item, rows := r.store.item, r.store.rows
			r.step(lockmanager.Input{Command: lockmanager.Pause{Order: lockmanager.Order{ID: "3", Reason: "x"}, Force: true}})
			r.store.item, r.store.rows = item, rows
		}, "version 4 3"},
		"an event that is not known": {func(r *recorder) { r.log.records[2].Event = nil }, "older than the event"},
		"an event without what it needs": {func(r *recorder) {
			r.log.records[1].Event = &blotterv1.PublishRequested{Token: 1}
		}, "does not fit the events before it"},
		"a table that the store lost": {func(r *recorder) {
			r.store.item, r.store.rows = control.TableItem{Table: reports}, nil
		}, "table known not there"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t)
			c.spoil(r)
			got := r.check()
			var told []string
			for _, d := range got.Differences {
				told = append(told, d.What+" "+d.Log+" "+d.Store)
			}
			for _, b := range got.Breaks {
				told = append(told, b.Detail)
			}
			if got.Equal() || !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("told is %q, expected one with %q", told, c.want)
			}
		})
	}
}

// A running system goes on: what is read is compared at one version.
func TestATableThatMovesIsLookedAtAgain(t *testing.T) {
	r := newRecorder(t)
	looks := 0
	r.log.meanwhile = func() {
		if looks++; looks <= 2 {
			r.step(lockmanager.Input{Command: lockmanager.Pause{Order: lockmanager.Order{ID: "again", Reason: "x"}, Force: true}})
			r.state.Answered = nil // the next command of this id is a new one
			r.keep()
		}
	}
	r.state.Answered = nil
	got := r.check()
	if got.Moving || looks != 3 {
		t.Errorf("after %d looks: %+v", looks, got)
	}
}

func TestAt(t *testing.T) {
	r := newRecorder(t)
	list, err := At(t.Context(), r.log, r.store, eventlog.Filter{UntilSeq: r.log.records[2].Seq})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d reports, %v", len(list), err)
	}
	state := list[0].Folded().State
	if state.Pause != nil || len(state.Files) != 1 || list[0].Equal() {
		t.Errorf("the state then is %+v", state)
	}
	if list, err = At(t.Context(), r.log, r.store, eventlog.Filter{Table: dms.TableID{DB: "rms", Table: "none"}}); err != nil || list[0].Events != 0 {
		t.Errorf("of an unknown table: %+v, %v", list, err)
	}
}
