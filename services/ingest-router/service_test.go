package ingestrouter

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	controlsqlite "github.com/openblotter/blotter/pkg/control/sqlite"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const registration = `database: rms
source: {prefix: dms/, schema: rms}
tables: [{name: reports, primary_key: [id], columns: {id: int not null}}]
`

var reports = dms.TableID{DB: "rms", Table: "reports"}

// bench is a service between a real log, a real store and a raw bucket that is a
// list; what outlives the service's process stays when it is made anew.
type bench struct {
	t     *testing.T
	url   string
	log   *eventlog.Log
	store *controlsqlite.Store
	raw   rawList
	// failed holds mended rows, for tests that need it.
	failed objects.Bucket
	// fail is asked before each write of an object's row and before each publish.
	fail func(step string) error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, url: eventlogtest.Server(t), fail: func(string) error { return nil }}
	b.log, _ = eventlogtest.Open(t, b.url)
	var err error
	if b.store, err = controlsqlite.Open(t.Context(), filepath.Join(t.TempDir(), "control.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) register() {
	b.t.Helper()
	b.registerSpec(parsed(b.t, registration))
}

func parsed(t *testing.T, registration string) registry.Table {
	t.Helper()
	specs, err := registry.Parse([]byte(registration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return specs[0]
}

func (b *bench) registerSpec(next registry.Table) {
	b.t.Helper()
	spec, err := registry.AssignIDs(nil, next)
	if err != nil {
		b.t.Fatal(err)
	}
	spec.Version = 1
	json, err := spec.JSON()
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.store.Commit(b.t.Context(), control.Change{Table: spec.ID, State: []byte("{}"), Spec: &control.Spec{Version: 1, JSON: json}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// service makes the service anew, as a start of its process does.
func (b *bench) service() *Service {
	b.t.Helper()
	log, _ := eventlogtest.Open(b.t, b.url)
	s := New(Deps{
		Log: faultyLog{log, b}, Objects: faultyStore{b.store, b}, Specs: control.NewSpecs(b.store), Raw: b.raw, Failed: b.failed,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	return s
}

// started is a service that has taken up what a former one left.
func (b *bench) started() *Service {
	b.t.Helper()
	s := b.service()
	if err := s.Learn(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return s
}

func (b *bench) offer(s *Service, key string, source Source) {
	b.t.Helper()
	if _, err := s.Offer(b.t.Context(), object(key), source); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) says(table dms.TableID, want ...string) {
	b.t.Helper()
	if got := eventlogtest.Names(b.t, b.log, eventlog.Filter{Table: table, Service: ServiceName}); !slices.Equal(got, want) {
		b.t.Errorf("of %s the log says %v, expected %v", table, got, want)
	}
}

func object(key string) dms.Object {
	return dms.Object{Bucket: "raw", Key: key, ETag: "1", Size: 1, LastModified: time.Date(2024, 3, 4, 6, 0, 0, 0, time.UTC)}
}

type faultyLog struct {
	*eventlog.Log
	b *bench
}

func (l faultyLog) PublishEnvelope(ctx context.Context, service string, after uint64, env *blotterv1.Envelope) (uint64, error) {
	if err := l.b.fail("publish"); err != nil {
		return 0, err
	}
	return l.Log.PublishEnvelope(ctx, service, after, env)
}

type faultyStore struct {
	control.Objects
	b *bench
}

func (s faultyStore) PutObject(ctx context.Context, row control.ObjectRow) error {
	if err := s.b.fail("put " + string(row.State)); err != nil {
		return err
	}
	return s.Objects.PutObject(ctx, row)
}

// rawList is a raw bucket.
type rawList []string

func (rawList) Name() string { return "raw" }

func (r rawList) Scan(context.Context, string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for _, key := range r {
			o := object(key)
			if !yield(objects.Info{Key: key, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified}, nil) {
				return
			}
		}
	}
}

func (r rawList) Missed() error { return nil }

// keysBehind gives the keys of a prefix that come behind one, in order.
func keysBehind(keys []string, prefix, after string) []string {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(key, prefix) || key <= after })
	slices.Sort(keys)
	return keys
}

func (r rawList) ScanAfter(ctx context.Context, prefix, after string, want objects.Want) iter.Seq2[objects.Sighting, error] {
	return (&shelf{rawList: r}).ScanAfter(ctx, prefix, after, want)
}

func (r rawList) Stat(_ context.Context, key string) (objects.Info, error) {
	if !slices.Contains(r, key) {
		return objects.Info{}, objects.ErrNotFound
	}
	o := object(key)
	return objects.Info{Key: key, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified}, nil
}

func (r rawList) Open(context.Context, string, objects.Version) (objects.Reader, error) {
	return nil, objects.ErrChanged // it keeps no versions
}

func (r rawList) Fresh(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		for info, err := range r.Scan(ctx, prefix) {
			if want(info.Key, true) && !yield(info, err) {
				return
			}
		}
	}
}

const (
	loadKey   = "dms/rms/reports/LOAD00000001.csv"
	changeKey = "dms/rms/reports/20240304-060000000.csv"
)

func TestAnObjectArrivesOnce(t *testing.T) {
	b := newBench(t)
	b.register()
	b.raw = rawList{loadKey, changeKey}
	s := b.started()
	b.offer(s, loadKey, FromEvent)
	b.offer(s, loadKey, FromListing) // a listing says nothing new
	if err := s.Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.offer(b.started(), loadKey, FromEvent) // another process hears of it again
	b.says(reports, "ObjectArrived", "ObjectArrived", "DeliveryRepeated")
	again := eventlogtest.Read(t, b.log, eventlog.Filter{Event: "DeliveryRepeated"})
	if e := again[0].Event.(*blotterv1.DeliveryRepeated); e.GetDelivery() != 2 {
		t.Errorf("the repetition counts as delivery %d, expected 2", e.GetDelivery())
	}
}

func TestANewVersionIsAnotherFile(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	b.offer(s, loadKey, FromEvent)
	newer := object(loadKey)
	newer.LastModified = newer.LastModified.Add(time.Hour)
	if _, err := s.Offer(t.Context(), newer, FromEvent); err != nil {
		t.Fatal(err)
	}
	b.says(reports, "ObjectArrived", "ObjectArrived")
}

// TestACrashLeavesAPendingRow: wherever taking in an object breaks off, the
// next process says it, and says it once.
func TestACrashLeavesAPendingRow(t *testing.T) {
	crash := errors.New("crash")
	for _, step := range []string{"put pending", "publish", "put told"} {
		t.Run(step, func(t *testing.T) {
			b := newBench(t)
			b.register()
			b.raw = rawList{loadKey}
			s := b.started()
			b.fail = func(at string) error {
				if at == step {
					return crash
				}
				return nil
			}
			if _, err := s.Offer(t.Context(), object(loadKey), FromListing); !errors.Is(err, crash) {
				t.Fatalf("Offer gives %v", err)
			}
			b.fail = func(string) error { return nil }
			next := b.started()
			if err := next.Scan(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.says(reports, "ObjectArrived")
			pending, err := b.store.ObjectsIn(t.Context(), control.ObjectPending, 10)
			if err != nil || len(pending) > 0 {
				t.Errorf("%d rows are pending (%v)", len(pending), err)
			}
		})
	}
}

// TestAHeldObjectThatIsDeliveredAgain is told and counted each time, stays held,
// and is taken in once its table is registered.
func TestAHeldObjectThatIsDeliveredAgain(t *testing.T) {
	b := newBench(t)
	s := b.started()
	b.offer(s, loadKey, FromEvent)
	b.offer(s, loadKey, FromListing)
	b.offer(s, loadKey, FromEvent)
	b.offer(b.started(), loadKey, FromEvent)
	b.says(dms.RawTable, "ObjectHeld", "DeliveryRepeated", "DeliveryRepeated")
	row, err := b.store.Object(t.Context(), identify(s.registered(), object(loadKey)))
	if err != nil || row.Deliveries != 3 || row.State != control.ObjectHeld {
		t.Errorf("the row is %+v, %v", row, err)
	}
	b.register()
	if err := s.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.says(reports, "ObjectArrived")
}

// TestAnUnknownTablesObjectsAreHeld until the table is registered.
func TestAnUnknownTablesObjectsAreHeld(t *testing.T) {
	b := newBench(t)
	s := b.service()
	eventlogtest.Run(t, s.Run)
	b.offer(s, loadKey, FromEvent)
	b.offer(s, loadKey, FromListing)
	b.says(dms.RawTable, "ObjectHeld")
	b.register()
	_, err := b.log.PublishOnce(t.Context(), eventlog.Event{
		Table: reports, Service: "lock-manager", ID: "registered", Time: time.Now(), Message: &blotterv1.TableRegistered{SpecVersion: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Idle(t, b.log, ServiceName)
	b.says(reports, "ObjectArrived")
	b.says(dms.RawTable, "ObjectHeld")
}

// TestAFolderLikeAControlTable: only DMS's own tables are nobody's for good. What
// lies below a folder that is named like them waits for its table as all else does.
func TestAFolderLikeAControlTable(t *testing.T) {
	for key, want := range map[string]string{
		"awsdms_raw/rms/people/LOAD00000001.csv":   "ObjectHeld",
		"awsdms_raw/people/20240304-060000000.csv": "ObjectHeld",
		"dms/awsdms_raw/people/LOAD00000001.csv":   "ObjectHeld",
		"dms/rms/awsdms_status/LOAD00000001.csv":   "ObjectIgnored",
	} {
		b := newBench(t)
		b.register()
		b.offer(b.started(), key, FromEvent)
		b.says(dms.RawTable, want)
	}
}

func TestWhatDMSCannotWriteIsIgnored(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	b.offer(s, "dms/rms/reports/_SUCCESS.tmp", FromEvent)
	b.offer(s, "readme.txt", FromEvent)
	records := eventlogtest.Read(t, b.log, eventlog.Filter{Table: dms.RawTable})
	if len(records) == 0 {
		t.Error("nothing is said of them")
	}
	for _, r := range records {
		if e, ok := r.Event.(*blotterv1.ObjectIgnored); !ok || e.GetReason() == "" || e.GetDetail() == "" {
			t.Errorf("%T says no reason", r.Event)
		}
	}
}

// TestAListingIsToldOnce: asked for again with its id, by another process too.
// partialList is a raw bucket with an object that cannot be read.
type partialList struct{ rawList }

func (partialList) Missed() error { return errors.New("LOAD00000002.csv cannot be read") }

func TestAListingThatMissedAFileSealsNothing(t *testing.T) {
	b := newBench(t)
	b.register()
	b.raw = rawList{loadKey}
	s := b.started()
	s.deps.Raw = partialList{b.raw}
	if _, err := s.List(t.Context(), ListRequest{ID: "1", Actor: "operator:test", Complete: true}); err == nil ||
		!strings.Contains(err.Error(), "LOAD00000002.csv") {
		t.Errorf("the listing gives %v, expected it to name the file it missed", err)
	}
	b.says(reports, "ObjectArrived")
}

func TestAListingIsToldOnce(t *testing.T) {
	b := newBench(t)
	b.register()
	b.raw = rawList{loadKey, changeKey, "elsewhere/x/LOAD00000001.csv"}
	request := ListRequest{ID: "1", Actor: "operator:test", Complete: true}
	for n := range 3 {
		listed, err := b.started().List(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if told := []int64{3, 0, 0}[n]; listed.Objects != 3 || listed.Told != told {
			t.Errorf("listing %d found %d objects and told of %d, expected 3 and %d", n+1, listed.Objects, listed.Told, told)
		}
	}
	b.says(reports, "ObjectArrived", "ObjectArrived", "ListingCompleted")
}
