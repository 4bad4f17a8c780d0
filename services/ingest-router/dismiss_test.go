package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestDismissedObjectsStayIgnored, whoever is registered later; what is not named
// stays held, and a request that names nothing is refused.
func TestDismissedObjectsStayIgnored(t *testing.T) {
	b := newBench(t)
	b.registerTxn("reports", dms.TransactionTable)
	s := b.started()
	b.offer(s, "dms/rms/scratch/LOAD00000001.csv", FromEvent)
	b.offer(s, "dms/rms/scratch/20240304-060000000.csv", FromEvent)
	b.offer(s, "dms/rms/scratches/LOAD00000001.csv", FromEvent)
	b.splitFile(s, splitOf([2]string{"rms", "persons"}, [2]string{"rms", "others"}))
	for _, tt := range []struct {
		objects, reason string
		want            int64
		refused         bool
	}{
		{"dms/rms/scratch/", "", 0, true},
		{"", "a test", 0, true},
		{"dms/rms/scratch", "a test", 0, true},
		{"dms/rms/scratch/", "a test", 2, false},
		{"dms/rms/scratch/", "a test", 0, true},
		{"rms.persons", "nobody asks", 1, false},
	} {
		got, err := s.Dismiss(t.Context(), DismissRequest{Actor: "operator:me", Reason: tt.reason, Objects: tt.objects})
		if err != nil || got.Objects != tt.want || (got.Refused != "") != tt.refused {
			t.Errorf("%q %q: %+v, %v", tt.objects, tt.reason, got, err)
		}
	}
	held, err := b.store.ObjectsIn(t.Context(), control.ObjectHeld, 10)
	if err != nil || len(held) != 2 {
		t.Errorf("%d objects are held still (%v)", len(held), err)
	}
	var last *blotterv1.ObjectIgnored
	var actor string
	for _, r := range eventlogtest.Read(t, b.log, eventlog.Filter{Table: dms.RawTable, Service: ServiceName}) {
		if e, ok := r.Event.(*blotterv1.ObjectIgnored); ok {
			last, actor = e, r.Envelope.GetActor()
		}
	}
	if last.GetReason() != reasonDismissed || last.GetDetail() != "nobody asks" || last.GetPart().GetTable() != "persons" || actor != "operator:me" {
		t.Errorf("the log says %v by %s", last, actor)
	}
	b.registerTxn("persons")
	if err := b.started().Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.says(persons)
	// The same delivery again is counted, and brings nothing back.
	b.offer(s, "dms/rms/scratch/LOAD00000001.csv", FromEvent)
	b.offer(s, "dms/rms/scratch/LOAD00000001.csv", FromListing)
	if given, err := b.store.ObjectsIn(t.Context(), control.ObjectDismissed, 10); err != nil || len(given) != 3 {
		t.Errorf("%d objects are dismissed still (%v)", len(given), err)
	}
}

// TestAnIgnoreIsTakenBack: what was ignored is held again, or comes in where its table
// is registered by now; each step stands in the log, however often.
func TestAnIgnoreIsTakenBack(t *testing.T) {
	b := newBench(t)
	b.registerTxn("reports", dms.TransactionTable)
	s := b.started()
	const key = "dms/rms/scratch/LOAD00000001.csv"
	b.offer(s, key, FromEvent)
	b.splitFile(s, splitOf([2]string{"rms", "persons"}, [2]string{"hr", "others"}))
	dismiss := func(objects string, takeBack bool) Dismissed {
		t.Helper()
		done, err := s.Dismiss(t.Context(), DismissRequest{Actor: "operator:me", Reason: "a test", Objects: objects, TakeBack: takeBack})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	for range 2 {
		if done := dismiss(key, false); done.Objects != 1 || done.Refused != "" {
			t.Fatalf("ignoring says %+v", done)
		}
		if done := dismiss(key, false); !strings.Contains(done.Refused, "no held object is named by") {
			t.Errorf("ignoring again says %+v", done)
		}
		if done := dismiss(key, true); done.Objects != 1 || done.Arrived != 0 || done.Refused != "" {
			t.Fatalf("taking back says %+v", done)
		}
		if done := dismiss(key, true); done != (Dismissed{Already: 1}) {
			t.Errorf("taking back again says %+v", done)
		}
	}
	if done := dismiss("dms/rms/none/", true); !strings.Contains(done.Refused, "no ignored object is named by") {
		t.Errorf("taking back nothing says %+v", done)
	}
	dismiss("rms.persons", false)
	b.registerTxn("persons")
	if err := s.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.says(persons)
	if done := dismiss("rms.persons", true); done.Objects != 1 || done.Arrived != 1 {
		t.Errorf("taking back the rows of a table that is registered by now says %+v", done)
	}
	b.says(persons, "ObjectArrived")
	b.says(dms.RawTable, "ObjectHeld", "ObjectHeld", "ObjectHeld", // at first
		"ObjectIgnored", "ObjectHeld", "ObjectIgnored", "ObjectHeld", "ObjectIgnored", "ObjectHeld")
	records := eventlogtest.Read(t, b.log, eventlog.Filter{Table: dms.RawTable, Event: "ObjectHeld"})
	last := records[len(records)-1]
	if e := last.Event.(*blotterv1.ObjectHeld); e.GetReason() != "taken_back" || e.GetDetail() != "a test" || e.GetPart().GetTable() != "persons" || last.Envelope.GetActor() != "operator:me" {
		t.Errorf("the log says %v by %s", e, last.Envelope.GetActor())
	}
}

// TestATakeBackThatFailedGoesOn: whatever failed, the same request again takes in what
// belongs to a table that was registered meanwhile, though another replica heard of that.
func TestATakeBackThatFailedGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		failsAt string // the step, and which of them
		nth     int
		failed  bool
		again   Dismissed
	}{
		"nothing fails":            {"none", 1, false, Dismissed{}},
		"before the word":          {"put pending", 1, true, Dismissed{Objects: 1, Arrived: 1}},
		"the word is not told":     {"publish", 1, true, Dismissed{Already: 1, Arrived: 1}},
		"held, and not taken in":   {"put pending", 2, true, Dismissed{Already: 1, Arrived: 1}},
		"taken in, and not yet so": {"publish", 2, true, Dismissed{Already: 1, Arrived: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			s := b.started()
			b.offer(s, loadKey, FromEvent)
			r := DismissRequest{Actor: "operator:me", Reason: "a test", Objects: loadKey}
			if done, err := s.Dismiss(t.Context(), r); err != nil || done.Objects != 1 {
				t.Fatalf("ignoring says %+v, %v", done, err)
			}
			b.register() // s has not heard of it
			steps := 0
			b.fail = func(at string) error {
				if at != tt.failsAt {
					return nil
				}
				if steps++; steps != tt.nth {
					return nil
				}
				return errors.New("throttled")
			}
			r.TakeBack = true
			done, err := s.Dismiss(t.Context(), r)
			if (err != nil) != tt.failed {
				t.Fatalf("taking back says %+v, %v", done, err)
			}
			if !tt.failed {
				if done != (Dismissed{Objects: 1, Arrived: 1}) {
					t.Errorf("taking back says %+v", done)
				}
			} else {
				done, err := s.Dismiss(t.Context(), r)
				if err != nil || done != tt.again {
					t.Errorf("taking back again says %+v, %v; expected %+v", done, err, tt.again)
				}
			}
			b.says(reports, "ObjectArrived")
			b.says(dms.RawTable, "ObjectHeld", "ObjectIgnored", "ObjectHeld")
		})
	}
}

// TestDecisionsThatCross: a repeated delivery in between changes nothing; a table that
// is registered in between, or another operator's word, stands, and is told.
func TestDecisionsThatCross(t *testing.T) {
	for name, tt := range map[string]struct {
		between func(b *bench, s *Service)
		want    Dismissed
		refused string
	}{
		"a repeated delivery": {func(b *bench, s *Service) { b.offer(s, loadKey, FromEvent) }, Dismissed{Objects: 1}, ""},
		"a registration": {func(b *bench, s *Service) {
			b.register()
			if err := s.Learn(b.t.Context()); err != nil {
				b.t.Fatal(err)
			}
		}, Dismissed{Changed: 1}, "all 1 changed in the meantime: their table was registered"},
		"another operator": {func(b *bench, s *Service) {
			if _, err := s.Dismiss(b.t.Context(), DismissRequest{Actor: "operator:you", Reason: "too", Objects: loadKey}); err != nil {
				b.t.Fatal(err)
			}
		}, Dismissed{Changed: 1}, "or another operator decided"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			s := b.started()
			b.offer(s, loadKey, FromEvent)
			crossed := false
			b.fail = func(at string) error {
				if at == "put pending" && !crossed {
					crossed = true
					tt.between(b, b.started())
				}
				return nil
			}
			done, err := s.Dismiss(t.Context(), DismissRequest{Actor: "operator:me", Reason: "a test", Objects: loadKey})
			if err != nil || !crossed {
				t.Fatalf("crossed: %v, %v", crossed, err)
			}
			if !strings.Contains(done.Refused, tt.refused) {
				t.Errorf("it says %q", done.Refused)
			}
			if done.Refused = ""; done != tt.want {
				t.Errorf("it says %+v, expected %+v", done, tt.want)
			}
		})
	}
}

// TestWhatIsMeant: a name means whole objects by key or folder, or the rows of one
// table; what may be several tables is refused with all of them.
func TestWhatIsMeant(t *testing.T) {
	whole := func(key string) namedRow {
		return namedRow{ObjectRow: control.ObjectRow{FileID: dms.FileID(key), Object: dms.Object{Key: key}}}
	}
	part := func(key, db, schema, table string) namedRow {
		return namedRow{db: db, ObjectRow: control.ObjectRow{FileID: dms.FileID(key + db + schema + table), Object: dms.Object{Key: key},
			Part: dms.Part{FileID: dms.FileID(key), Schema: schema, Table: table}}}
	}
	rows := []namedRow{
		whole("dms/a/LOAD1.csv"), whole("dms/a/LOAD2.csv"), whole("dms/ab/LOAD1.csv"),
		part("dms/tx/1", "rms", "pub", "audit"), part("dms/tx/2", "rms", "pub", "audit"), part("dms/tx/1", "rms", "pub", "log"),
		part("hr/tx/1", "hr", "pub", "audit"), part("dms/tx/1", "rms", "a", "b.c"), part("dms/tx/1", "rms", "a.b", "c"),
	}
	for _, tt := range []struct {
		r    DismissRequest
		want int
		why  []string
	}{
		{DismissRequest{Objects: "dms/a/LOAD1.csv"}, 1, nil},
		{DismissRequest{Objects: "dms/a/"}, 2, nil},
		{DismissRequest{Objects: "dms/a"}, 0, []string{"no held object is named by \"dms/a\"; see `blotter held list`"}},
		{DismissRequest{Objects: "dms/"}, 3, nil}, // not what is held of the transaction files below it
		{DismissRequest{Objects: "dms/tx/"}, 0, []string{"by table", "a.b.c (--database rms --schema a), a.b.c (--database rms --schema a.b), pub.audit (--database rms --schema pub), pub.log"}},
		{DismissRequest{Objects: "dms/tx/2"}, 0, []string{"by table; name one of them: pub.audit (--database rms --schema pub)"}},
		{DismissRequest{Objects: "pub.log"}, 1, nil},
		{DismissRequest{Objects: "pub.audit"}, 0, []string{"one of several tables: pub.audit (--database hr --schema pub), pub.audit (--database rms --schema pub); say which"}},
		{DismissRequest{Objects: "pub.audit", Database: "rms"}, 2, nil},
		{DismissRequest{Objects: "pub.audit", Database: "hr"}, 1, nil},
		{DismissRequest{Objects: "pub.audit", Database: "none"}, 0, []string{"no held object", "in database none"}},
		{DismissRequest{Objects: "dms/a/", Database: "rms"}, 0, []string{"\"dms/a/\" names objects by their keys", "leave out --database and --schema"}},
		{DismissRequest{Objects: "dms/a/LOAD1.csv", Schema: "pub"}, 0, []string{"leave out --database and --schema"}},
		{DismissRequest{Objects: "dms/tx/", Database: "rms"}, 0, []string{"or name a table by <schema>.<table>"}},
		{DismissRequest{Objects: "dms/a/", Database: "rms", TakeBack: true}, 0, []string{"leave out --database and --schema"}},
		{DismissRequest{Objects: "a.b.c"}, 0, []string{"a.b.c (--database rms --schema a), a.b.c (--database rms --schema a.b)"}},
		{DismissRequest{Objects: "a.b.c", Schema: "a.b"}, 1, nil},
		{DismissRequest{Objects: "PUB.log", TakeBack: true}, 0, []string{"no ignored object", "--ignored"}},
	} {
		var named []namedRow
		for _, row := range rows {
			if tt.r.names(row.ObjectRow) || !row.Part.IsZero() && row.Part.String() == tt.r.Objects {
				named = append(named, row)
			}
		}
		meant, why := tt.r.meant(named)
		if tt.r.ofTable() && strings.HasPrefix(tt.r.Objects, "dms/") && slices.ContainsFunc(named, tt.r.means) {
			t.Errorf("%+v means objects by their keys", tt.r)
		}
		if len(meant) != tt.want || (why == "") != (tt.why == nil) {
			t.Errorf("%+v: %d are meant, %q", tt.r, len(meant), why)
		}
		for _, text := range tt.why {
			if !strings.Contains(why, text) {
				t.Errorf("%+v: %q lacks %q", tt.r, why, text)
			}
		}
	}
}

// TestWhatMayBeMeant: a name that means nothing is answered with what it is near to.
func TestWhatMayBeMeant(t *testing.T) {
	rows := []control.ObjectRow{
		{Object: dms.Object{Key: "dms/rms/scratch/LOAD1.csv"}}, {Object: dms.Object{Key: "dms/rms/scratch/LOAD2.csv"}},
		{Object: dms.Object{Key: "dms/hr/scratch/LOAD1.csv"}}, {Object: dms.Object{Key: "x"}},
		{Object: dms.Object{Key: "dms/tx/1"}, Part: dms.Part{FileID: "1", Schema: "pub", Table: "log"}},
	}
	for name, want := range map[string]string{
		"dms/rms/scratch":       "; did you mean dms/rms/scratch/?",
		"/dms/rms/scratch/":     "; did you mean dms/rms/scratch/?",
		"scratch":               "; did you mean dms/hr/scratch/ or dms/rms/scratch/?",
		"rms.scratch":           "; did you mean dms/rms/scratch/?",
		"rms/scratch/LOAD2.csv": "; did you mean dms/rms/scratch/LOAD2.csv?",
		"LOAD1.csv":             "; did you mean dms/hr/scratch/LOAD1.csv or dms/rms/scratch/LOAD1.csv?",
		"/x":                    "; did you mean x?",
		"scr":                   "", "tx": "", "": "", "/": "",
	} {
		if got := (DismissRequest{Objects: name}).near(rows); got != want {
			t.Errorf("%q: %q, expected %q", name, got, want)
		}
	}
	if got := (DismissRequest{Objects: "scratch", Schema: "rms"}).near(rows); got != "" {
		t.Errorf("of a table: %q", got)
	}
}

// TestManyAreDismissedInBatches: one request does a bounded part of the work, or all of
// it where that goes fast.
func TestManyAreDismissedInBatches(t *testing.T) {
	b := newBench(t)
	s := b.started()
	const n = dismissBatch + 1
	for i := range n {
		b.offer(s, fmt.Sprintf("dms/rms/scratch/LOAD%08X.csv", i+1), FromListing)
	}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := DismissRequest{Actor: "operator:me", Reason: "a test", Objects: "dms/rms/scratch/"}
	for _, tt := range []struct {
		takeBack bool
		each     time.Duration // what passes whenever the clock is read
		want     Dismissed
	}{
		{false, dismissFor / dismissBatch, Dismissed{Objects: dismissBatch, More: true}},
		{false, dismissFor / dismissBatch, Dismissed{Objects: 1}},
		{true, dismissFor / n / 4, Dismissed{Objects: n}},
	} {
		s.deps.Now = func() time.Time { now = now.Add(tt.each); return now }
		r.TakeBack = tt.takeBack
		want := tt.want
		if done, err := s.Dismiss(t.Context(), r); err != nil || done != want {
			t.Errorf("it says %+v, %v; expected %+v", done, err, want)
		}
	}
}

// slowStore answers a read only when as many are asked for as may be at once, and
// counts them.
type slowStore struct {
	control.Objects
	full  chan struct{}
	asked atomic.Int64
}

func (o *slowStore) Object(ctx context.Context, id dms.FileID) (control.ObjectRow, error) {
	if o.asked.Add(1) == parallelReads {
		close(o.full)
	}
	select {
	case <-o.full:
	case <-ctx.Done():
		return control.ObjectRow{}, ctx.Err()
	}
	if id == "lost" {
		return control.ObjectRow{}, control.ErrNotFound
	}
	return control.ObjectRow{FileID: id, Table: dms.TableID{DB: "of " + string(id)}}, nil
}

// TestDatabasesOfManyFiles are read beside one another, each file once; one that is not
// there is told by its part.
func TestDatabasesOfManyFiles(t *testing.T) {
	var rows []control.ObjectRow
	for i := range 2 * parallelReads {
		file := dms.FileID(fmt.Sprint(i))
		for _, table := range []string{"audit", "log"} {
			rows = append(rows, control.ObjectRow{FileID: file + dms.FileID(table), Object: dms.Object{Key: "dms/tx/" + string(file)},
				Part: dms.Part{FileID: file, Schema: "pub", Table: table}})
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store := &slowStore{full: make(chan struct{})}
	s := New(Deps{Objects: store})
	named, err := s.inDatabases(ctx, rows, DismissRequest{Objects: "dms/tx/"})
	if err != nil || len(named) != len(rows) || store.asked.Load() != 2*parallelReads {
		t.Fatalf("%d are named after %d reads (%v)", len(named), store.asked.Load(), err)
	}
	for i, row := range named {
		if row.FileID != rows[i].FileID || row.db != "of "+string(row.Part.FileID) {
			t.Errorf("part %s of file %s is of database %q", row.Part, row.Part.FileID, row.db)
		}
	}
	rows[0].Part.FileID = "lost"
	if _, err := s.inDatabases(ctx, rows, DismissRequest{Objects: "dms/tx/"}); !errors.Is(err, control.ErrNotFound) || !strings.Contains(err.Error(), "part pub.audit in dms/tx/0") {
		t.Errorf("a file that is not there says %v", err)
	}
}

// fasterSpecs has somebody else look for held objects once registrations are read.
type fasterSpecs struct {
	Specs
	faster func()
}

func (f *fasterSpecs) Newest(ctx context.Context) ([]registry.Table, error) {
	f.faster()
	return f.Specs.Newest(ctx)
}

// TestTakenBackByAnotherHand: what a replica takes in, or this process where it has just
// started, before the request comes to it, is told as what has come in.
func TestTakenBackByAnotherHand(t *testing.T) {
	b := newBench(t)
	s := b.started()
	b.offer(s, loadKey, FromEvent)
	b.offer(s, "dms/rms/nobodys/LOAD00000001.csv", FromEvent)
	r := DismissRequest{Actor: "operator:me", Reason: "a test", Objects: "dms/rms/"}
	if done, err := s.Dismiss(t.Context(), r); err != nil || done.Objects != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	b.register()
	other := b.started()
	s.deps.Specs = &fasterSpecs{s.deps.Specs, func() {
		if err := other.Learn(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	r.TakeBack = true
	if done, err := s.Dismiss(t.Context(), r); err != nil || done.Objects != 2 || done.Arrived != 1 {
		t.Errorf("%+v, %v", done, err)
	}
}
