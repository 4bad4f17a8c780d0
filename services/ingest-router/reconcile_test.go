package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// shelf is a raw bucket whose objects change between two steps. A key has the ETag
// "1", or what is written beside it; those in unwhole are still being written.
type shelf struct {
	rawList
	etags   map[string]string
	unwhole []string
	fault   error // instead of the end
}

func (f *shelf) info(key string) objects.Info {
	o := object(key)
	if etag := f.etags[key]; etag != "" {
		o.ETag, o.LastModified = etag, o.LastModified.Add(time.Hour)
	}
	return objects.Info{Key: key, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified}
}

func (f *shelf) ScanAfter(_ context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error] {
	return func(yield func(objects.Sighting, error) bool) {
		for _, info := range keysBehind(f.rawList, prefix, after) {
			s := objects.Sighting{Info: f.info(info)}
			switch {
			case slices.Contains(f.unwhole, info):
				s = objects.Sighting{Info: objects.Info{Key: info}, Seen: objects.SeenUnwhole, Reason: errors.New("it is still being written")}
			case !want(info, true):
				s = objects.Sighting{Info: objects.Info{Key: info}, Seen: objects.SeenOther}
			}
			if !yield(s, nil) {
				return
			}
		}
		if f.fault != nil {
			yield(objects.Sighting{}, f.fault)
		}
	}
}

// reconciling is a reconcile whose every step is of one object, and is asked for twice,
// of two processes: the second answer counts.
type reconciling struct {
	*bench
	raw     Raw
	request ReconcileRequest
	steps   int
	between func(at Place) // is called between two steps
}

func (b *bench) reconcile(raw Raw) *reconciling {
	return &reconciling{bench: b, raw: raw, request: ReconcileRequest{ID: "1", Actor: "operator:test", Reason: "an outage"}, between: func(Place) {}}
}

// step asks a process of its own, to which each look at the clock takes stepFor.
func (r *reconciling) step() (Place, error) {
	r.t.Helper()
	s := r.service()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	s.deps.Raw, s.deps.Now = r.raw, func() time.Time { now = now.Add(stepFor); return now }
	return s.Reconcile(r.t.Context(), r.request)
}

// run goes on to the end, and gives what each step found the first time it was asked.
func (r *reconciling) run() (end Place) {
	r.t.Helper()
	for r.request.At.Pass != PassDone {
		if r.steps++; r.steps > 100 {
			r.t.Fatalf("it does not come to an end: %+v", r.request.At)
		}
		at, err := r.step()
		if err != nil {
			r.t.Fatal(err)
		}
		again, err := r.step()
		if err != nil || again.Pass != at.Pass || again.Key != at.Key || again.Listed != at.Listed {
			r.t.Errorf("asked again it stands at %+v instead of %+v, %v", again, at, err)
		}
		r.request.At = at
		r.between(at)
	}
	return r.request.At
}

func (r *reconciling) expect(got Place, want Place) {
	r.t.Helper()
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		r.t.Errorf("it ends with\n%+v, expected\n%+v", got, want)
	}
}

const (
	strayKey   = "dms/rms/stray/LOAD00000001.csv"
	foreignKey = "readme.txt"
)

// TestAReconcileInSteps: load files come first, each object is told once however often a
// step is asked for, and the log says who asked for it and why.
func TestAReconcileInSteps(t *testing.T) {
	b := newBench(t)
	b.register()
	b.offer(b.started(), secondChange, FromEvent)
	r := b.reconcile(&shelf{rawList: rawList{changeKey, secondChange, loadKey, secondLoad, strayKey, foreignKey}})
	r.expect(r.run(), Place{
		Pass: PassDone, Looked: 6, Listed: 6, New: 5, Held: 1, Ignored: 1, Tables: map[string]TableCount{"rms.reports": {Listed: 4, New: 3}},
	})
	if r.steps != 6+1+6+1 { // two passes; the end of each shows only behind its last object
		t.Errorf("it took %d steps", r.steps)
	}
	b.expectArrived(secondChange, loadKey, secondLoad, changeKey)
	b.says(dms.RawTable, "ObjectHeld", "ObjectIgnored")
	said := eventlogtest.Read(t, b.log, eventlog.Filter{Event: "ListingCompleted"})
	if len(said) != 1 {
		t.Fatalf("%d listings are told", len(said))
	}
	if e := said[0].Event.(*blotterv1.ListingCompleted); said[0].Table != reports || e.GetObjects() != 4 || e.GetComplete() ||
		e.GetReason() != "an outage" || said[0].Envelope.GetActor() != "operator:test" {
		t.Errorf("of %s is told %v by %s", said[0].Table, e, said[0].Envelope.GetActor())
	}
	r = b.reconcile(r.raw)
	r.request.ID = "2"
	r.expect(r.run(), Place{Pass: PassDone, Looked: 6, Listed: 6, Tables: map[string]TableCount{"rms.reports": {Listed: 4}}})
}

// TestAReconcileBesideArrivals: objects come, go and are written again between two
// steps, and are told by others; what is in front is told once, as it is then.
func TestAReconcileBesideArrivals(t *testing.T) {
	const a, b1, c, d, e = "dms/rms/reports/20240304-010000000.csv", "dms/rms/reports/20240304-020000000.csv", "dms/rms/reports/20240304-030000000.csv",
		"dms/rms/reports/20240304-040000000.csv", "dms/rms/reports/20240304-050000000.csv"
	b := newBench(t)
	b.register()
	raw := &shelf{rawList: rawList{a, b1, c, d}, etags: map[string]string{}}
	r := b.reconcile(raw)
	r.between = func(at Place) {
		if at.Pass != PassAll || at.Key != b1 {
			return
		}
		raw.etags[a] = "2"                // behind: its own event, or the next reconcile, tells
		raw.etags[c] = "2"                // in front
		raw.rawList = rawList{a, c, d, e} // it stands where nothing is any more
		b.offer(b.started(), d, FromEvent)
	}
	r.expect(r.run(), Place{Pass: PassDone, Looked: 4, Listed: 5, New: 4, Tables: map[string]TableCount{"rms.reports": {Listed: 5, New: 4}}})
	b.expectArrived(a, b1, d, c, e)
	for _, record := range eventlogtest.Read(t, b.log, eventlog.Filter{Event: "ObjectArrived"}) {
		o := record.Event.(*blotterv1.ObjectArrived).GetObject()
		if want := map[bool]string{true: "2", false: "1"}[o.GetKey() == c]; o.GetEtag() != want {
			t.Errorf("%s was told with the ETag %s", o.GetKey(), o.GetEtag())
		}
	}
	r = b.reconcile(raw)
	r.request.ID = "2"
	if at := r.run(); at.New != 1 {
		t.Errorf("the next one finds %+v", at)
	}
}

// TestADryRunChangesNothing, and tells what the reconcile tells of then.
func TestADryRunChangesNothing(t *testing.T) {
	b := newBench(t)
	b.register()
	raw := &shelf{rawList: rawList{changeKey, loadKey, secondLoad, strayKey, foreignKey}}
	b.fail = func(at string) error {
		if at == "publish" {
			return errors.New("crash")
		}
		return nil
	}
	if _, err := b.started().Offer(t.Context(), object(secondLoad), FromListing); err == nil { // decided, and not told
		t.Fatal("it is told")
	}
	b.fail = func(at string) error { return fmt.Errorf("%s in a dry run", at) }
	before, err := b.log.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dry := b.reconcile(raw)
	dry.request.DryRun = true
	found := dry.run()
	if after, err := b.log.Last(t.Context()); err != nil || after != before {
		t.Errorf("the log went on from %d to %d (%v)", before, after, err)
	}
	s := b.service()
	if err := s.relearn(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, key := range raw.rawList {
		row, err := b.store.Object(t.Context(), identify(s.registered(), object(key)))
		if key == secondLoad && row.State != control.ObjectPending || key != secondLoad && !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s is %s, %v", key, row.State, err)
		}
	}
	b.fail = func(string) error { return nil }
	dry.expect(found, Place{Pass: PassDone, Listed: 5, New: 5, Held: 1, Ignored: 1, Tables: map[string]TableCount{"rms.reports": {Listed: 3, New: 3}}})
	if at := b.reconcile(raw).run(); at.New+1 != found.New { // one is told as the work is taken up
		t.Errorf("the reconcile tells of %d", at.New)
	}
	b.expectArrived(secondLoad, loadKey, changeKey)
}

// TestAReconcileOfAPart lists what it names, and says so of the tables in it alone.
func TestAReconcileOfAPart(t *testing.T) {
	for _, tt := range []struct {
		prefix, after string
		arrived       []string
		said          int
	}{
		{"dms/rms/reports/2024", "", []string{changeKey, secondChange}, 1},
		{"", changeKey, []string{loadKey, secondChange}, 1},
		{"dms/rms/reports/", loadKey, nil, 0},
		{"dms/rms/stray/", "", nil, 0},
	} {
		b := newBench(t)
		b.register()
		r := b.reconcile(&shelf{rawList: rawList{changeKey, secondChange, loadKey, strayKey}})
		r.request.Prefix, r.request.After = tt.prefix, tt.after
		r.run()
		b.expectArrived(tt.arrived...)
		if said := eventlogtest.Read(t, b.log, eventlog.Filter{Event: "ListingCompleted"}); len(said) != tt.said {
			t.Errorf("%q behind %q: %d listings are told", tt.prefix, tt.after, len(said))
		}
	}
}

// TestAReconcileWaitsForALoadFile that is being written: the changes beside it are
// passed over, which is told, and a later one takes them in behind it.
func TestAReconcileWaitsForALoadFile(t *testing.T) {
	b := newBench(t)
	b.register()
	raw := &shelf{rawList: rawList{changeKey, loadKey, strayKey}, unwhole: []string{loadKey}}
	r := b.reconcile(raw)
	r.expect(r.run(), Place{
		Pass: PassDone, Looked: 3, Listed: 3, New: 1, Held: 1, Tables: map[string]TableCount{}, Unwhole: []string{"rms.reports"},
		Passed: 2, First: changeKey + ": it waits for a load file of its table that is still being written",
	})
	raw.unwhole = nil
	r = b.reconcile(raw)
	r.request.ID = "2"
	r.run()
	b.expectArrived(loadKey, changeKey)
}

// TestAReconcileThatBreaksOff goes on where it stood, whatever failed.
func TestAReconcileThatBreaksOff(t *testing.T) {
	crash := errors.New("crash")
	for _, step := range []string{"put pending", "publish", "put told", "scan"} {
		t.Run(step, func(t *testing.T) {
			b := newBench(t)
			b.register()
			raw := &shelf{rawList: rawList{changeKey, loadKey}}
			r := b.reconcile(raw)
			if step == "scan" {
				r.request.At.Key, raw.fault = loadKey, crash
			}
			b.fail = func(at string) error {
				if at == step {
					return crash
				}
				return nil
			}
			at := Place{}
			for n := 0; ; n++ { // until it comes to what is new
				got, err := r.step()
				if err != nil {
					if !errors.Is(err, crash) || got.Key != r.request.At.Key {
						t.Fatalf("it stands at %+v with %v", got, err)
					}
					break
				}
				if r.request.At = got; n > 10 {
					t.Fatalf("nothing fails: %+v", got)
				}
			}
			b.fail, raw.fault = func(string) error { return nil }, nil
			r.request.At = at
			r.run()
			b.expectArrived(loadKey, changeKey)
		})
	}
}

// TestAStepIsBounded by the number of objects, of which those that are only passed count less.
func TestAStepIsBounded(t *testing.T) {
	const passed = stepObjects * passedPer
	var keys rawList
	for i := range passed + 3 {
		keys = append(keys, fmt.Sprintf("dms/rms/reports/20240304-%09d.csv", i))
	}
	few := keys[:stepObjects+3]
	for name, tt := range map[string]struct {
		raw    rawList
		dryRun bool
		steps  []Place
	}{
		"of what is asked for": {few, true, []Place{
			{Pass: PassAll, Key: few[stepObjects-1], Listed: stepObjects, New: stepObjects},
			{Pass: PassDone, Listed: stepObjects + 3, New: stepObjects + 3},
			{Pass: PassDone, Listed: stepObjects + 3, New: stepObjects + 3},
		}},
		"of what is passed": {keys, false, []Place{
			{Key: keys[passed-1], Looked: passed},
			{Pass: PassAll, Looked: passed + 3},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.register()
			s := b.service()
			s.deps.Raw, s.deps.Now = tt.raw, func() time.Time { return time.Unix(0, 0) }
			r := ReconcileRequest{ID: "1", Actor: "operator:test", DryRun: tt.dryRun}
			for _, want := range tt.steps {
				var err error
				if r.At, err = s.Reconcile(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				got := r.At
				if got.Tables = nil; fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("it stands at %+v, expected %+v", got, want)
				}
			}
		})
	}
}
