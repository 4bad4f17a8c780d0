package ingestrouter

import (
	"context"
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

// folder is a raw bucket whose files come in the order of their keys; those in unwhole
// are still being written.
type folder struct {
	rawList
	unwhole []string
	handed  map[string]bool
	scans   int
}

func newFolder(keys ...string) *folder {
	slices.Sort(keys)
	return &folder{rawList: keys, handed: map[string]bool{}}
}

func (f *folder) Fresh(_ context.Context, _ string, want objects.Want) iter.Seq2[objects.Info, error] {
	f.scans++
	return func(yield func(objects.Info, error) bool) {
		for _, key := range f.rawList {
			whole := !slices.Contains(f.unwhole, key)
			if f.handed[key] || !want(key, whole) || !whole {
				continue
			}
			o := object(key)
			if !yield(objects.Info{Key: key, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified}, nil) {
				return
			}
			f.handed[key] = true
		}
	}
}

// arrived gives the keys of the objects that arrived at a table, in order.
func (b *bench) arrived(table dms.TableID) []string {
	b.t.Helper()
	var keys []string
	for _, r := range eventlogtest.Read(b.t, b.log, eventlog.Filter{Table: table, Service: ServiceName}) {
		if e, ok := r.Event.(*blotterv1.ObjectArrived); ok {
			keys = append(keys, e.GetObject().GetKey())
		}
	}
	return keys
}

func (b *bench) expectArrived(want ...string) {
	b.t.Helper()
	if got := b.arrived(reports); !slices.Equal(got, want) {
		b.t.Errorf("arrived: %q, expected %q", got, want)
	}
}

const (
	secondLoad   = "dms/rms/reports/LOAD00000002.csv"
	secondChange = "dms/rms/reports/20240304-070000000.csv"
)

// TestLoadFilesAreToldFirst: at every scan, not only at the first one.
func TestLoadFilesAreToldFirst(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	f := newFolder()
	s.deps.Raw = f
	scan := func(keys ...string) {
		t.Helper()
		f.rawList = append(f.rawList, keys...)
		slices.Sort(f.rawList)
		if err := s.Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scan()
	if scan(changeKey, loadKey); f.scans != 1+2 {
		t.Errorf("%d scans, expected one of nothing and two of what came", f.scans)
	}
	scan(secondChange, secondLoad)
	b.expectArrived(loadKey, changeKey, secondLoad, secondChange)
}

// TestAListingTellsOfLoadFilesFirst, also where nobody watches.
func TestAListingTellsOfLoadFilesFirst(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	s.deps.Raw = newFolder(changeKey, loadKey, secondLoad)
	listed, err := s.List(t.Context(), ListRequest{ID: "1", Actor: "operator:test"})
	if err != nil || listed.Objects != 3 || listed.Told != 3 {
		t.Errorf("the listing says %+v, %v", listed, err)
	}
	b.expectArrived(loadKey, secondLoad, changeKey)
}

// TestChangesWaitForALoadFileThatIsBeingWritten, those of its table, and not for ever.
func TestChangesWaitForALoadFileThatIsBeingWritten(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	s.deps.Now = func() time.Time { return now }
	f := newFolder(changeKey, loadKey, "dms/rms/other/20240304-060000000.csv")
	s.deps.Raw = f
	scan := func(want ...string) {
		t.Helper()
		if err := s.Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.expectArrived(want...)
	}
	f.unwhole = []string{loadKey}
	scan()
	b.says(dms.RawTable, "ObjectHeld") // the other table's
	now = now.Add(maxUnwhole - 1)
	scan()
	f.unwhole = nil
	scan(loadKey, changeKey)

	f.rawList, f.unwhole = append(f.rawList, secondChange, secondLoad), []string{secondLoad}
	scan(loadKey, changeKey)
	now = now.Add(maxUnwhole)
	scan(loadKey, changeKey, secondChange)
}

// TestHeldLoadFilesAreTakenInFirst, of more objects than are read at once.
func TestHeldLoadFilesAreTakenInFirst(t *testing.T) {
	b := newBench(t)
	s := b.started()
	const loads = 3
	hold := func(name string, n int, among func(dms.FileID) bool) {
		for i := 1; n > 0; i++ {
			o := object(fmt.Sprintf("dms/rms/reports/"+name, i))
			id := identify(s.registered(), o)
			if !among(id) {
				continue
			}
			n--
			if err := b.store.PutObject(t.Context(), control.ObjectRow{FileID: id, Object: o, State: control.ObjectHeld, Table: dms.RawTable}); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The store gives them by their ids: the load files last.
	hold("20240304-%09d.csv", resumeBatch, func(id dms.FileID) bool { return id < "f" })
	hold("LOAD%08X.csv", loads, func(id dms.FileID) bool { return id > "f" })
	b.register()
	if err := s.Learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := b.arrived(reports)
	if len(got) != resumeBatch+loads {
		t.Fatalf("%d objects arrived", len(got))
	}
	for _, key := range got[:loads] {
		if kindOf(s.registered(), key) != dms.KindLoad {
			t.Errorf("%s arrived before the load", key)
		}
	}
}
