package ingestrouter

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var deletedAt = time.Date(2024, 3, 4, 7, 0, 0, 0, time.UTC)

func deletion(key, version string) Deletion {
	return Deletion{Bucket: "raw", Key: key, VersionID: version, Sequencer: "0065A4E2C0A1B2C3D9", Time: deletedAt}
}

func (b *bench) delete(s *Service, deletions ...Deletion) {
	b.t.Helper()
	for _, d := range deletions {
		if err := s.Delete(b.t.Context(), d); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestADeletionIsToldOnce(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	b.delete(s, deletion(loadKey, ""), deletion(loadKey, ""), deletion(changeKey, ""))
	later := deletion(loadKey, "")
	later.Sequencer = "0065A4E2C0A1B2C3DA"
	b.delete(s, later)
	b.delete(b.started(), deletion(loadKey, ""), later) // another process hears of it again
	b.says(reports, "ObjectDeleted", "ObjectDeleted", "ObjectDeleted")
	b.says(dms.RawTable)
}

func TestADeletionNamesTheVersionThatWasSeen(t *testing.T) {
	b := newBench(t)
	b.register()
	s := b.started()
	o := object(loadKey)
	o.VersionID = "v1"
	id, err := s.Offer(t.Context(), o, FromEvent)
	if err != nil {
		t.Fatal(err)
	}
	b.delete(s, deletion(loadKey, "v1"), deletion(loadKey, "v0"))
	records := eventlogtest.Read(t, b.log, eventlog.Filter{Event: "ObjectDeleted"})
	if len(records) != 2 {
		t.Fatalf("%d deletions are told, expected 2", len(records))
	}
	seen, unseen := records[0].Event.(*blotterv1.ObjectDeleted), records[1].Event.(*blotterv1.ObjectDeleted)
	if seen.GetFileId() != string(id) || records[0].Envelope.GetCorrelation() != string(id) || seen.GetObject().GetSize() != o.Size {
		t.Errorf("the deletion of a version that was seen says %v", seen)
	}
	if unseen.GetFileId() != "" || records[1].Envelope.GetCorrelation() != "" || unseen.GetObject().GetVersionId() != "v0" {
		t.Errorf("the deletion of a version that was not seen says %v", unseen)
	}
}

// TestACrashLeavesAPendingDeletion: wherever telling of a deletion breaks off,
// the next process says it as soon as it starts, and says it once.
func TestACrashLeavesAPendingDeletion(t *testing.T) {
	crash := errors.New("crash")
	for _, step := range []string{"put pending", "publish", "put told"} {
		t.Run(step, func(t *testing.T) {
			b := newBench(t)
			b.register()
			s := b.started()
			b.fail = func(at string) error {
				if at == step {
					return crash
				}
				return nil
			}
			if err := s.Delete(t.Context(), deletion(loadKey, "")); !errors.Is(err, crash) {
				t.Fatalf("Delete gives %v", err)
			}
			b.fail = func(string) error { return nil }
			next := b.started()
			if step != "put pending" { // before that only a redelivery tells
				b.says(reports, "ObjectDeleted")
			}
			b.delete(next, deletion(loadKey, ""))
			b.says(reports, "ObjectDeleted")
			pending, err := b.store.ObjectsIn(t.Context(), control.ObjectPending, 10)
			if err != nil || len(pending) > 0 {
				t.Errorf("%d rows are pending (%v)", len(pending), err)
			}
		})
	}
}

func TestReplicasTellADeletionOnce(t *testing.T) {
	b := newBench(t)
	b.register()
	const replicas, deletions = 4, 8
	var group errgroup.Group
	for range replicas {
		s := b.started()
		group.Go(func() error {
			for n := range deletions {
				d := deletion(loadKey, "")
				d.Sequencer = string(rune('a' + n))
				if err := s.Delete(t.Context(), d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	b.says(reports, slices.Repeat([]string{"ObjectDeleted"}, deletions)...)
}

func TestDecideDeleted(t *testing.T) {
	b := newBench(t)
	b.register()
	matcher := b.started().registered()
	marker := deletion(loadKey, "m1")
	marker.Marker = true
	expired := deletion(loadKey, "v1")
	expired.Expired = true
	for _, c := range []struct {
		name            string
		deletion        Deletion
		table           dms.TableID
		reason, version string
	}{
		{"a load file", deletion(loadKey, ""), reports, "deleted", ""},
		{"a change file below a date", deletion("dms/rms/reports/2024/03/04/20240304-060000000.csv", "v1"), reports, "deleted", "v1"},
		{"hidden by a marker", marker, reports, "deleted", ""},
		{"by a lifecycle rule", expired, reports, "expired", "v1"},
		{"of a table that is not registered", deletion("dms/rms/arrests/LOAD00000001.csv", ""), dms.RawTable, "deleted", ""},
		{"of a control table", deletion("dms/rms/awsdms_status/LOAD00000001.csv", ""), dms.RawTable, "deleted", ""},
		{"a folder marker", deletion("dms/rms/reports/", ""), dms.RawTable, "deleted", ""},
		{"a marker", deletion("dms/rms/reports/_SUCCESS", ""), dms.RawTable, "deleted", ""},
		{"no file of DMS", deletion("dms/rms/reports/notes.txt", ""), dms.RawTable, "deleted", ""},
		{"a transaction file in a table's folder", deletion("dms/rms/reports/CDC_TXN-20240304060000000.csv", ""), dms.RawTable, "deleted", ""},
		{"elsewhere", deletion("other/LOAD00000001.csv", ""), dms.RawTable, "deleted", ""},
	} {
		v := decideDeleted(matcher, c.deletion, control.ObjectRow{})
		e := v.event.(*blotterv1.ObjectDeleted)
		if v.table != c.table || e.GetReason() != c.reason || e.GetObject().GetVersionId() != c.version || e.GetObject().GetKey() != c.deletion.Key {
			t.Errorf("%s: %s says %v, expected %s, %s, version %q", c.name, v.table, e, c.table, c.reason, c.version)
		}
	}
}

func TestDeletionID(t *testing.T) {
	id := func(change func(*Deletion)) dms.FileID {
		d := deletion(loadKey, "v1")
		change(&d)
		return d.ID()
	}
	same := id(func(*Deletion) {})
	for name, change := range map[string]func(*Deletion){
		"the marker of this version": func(d *Deletion) { d.Marker = true },
		"told by another channel":    func(d *Deletion) { d.Sequencer, d.Time = "", deletedAt.Add(time.Second) },
	} {
		if id(change) != same {
			t.Errorf("%s: another deletion", name)
		}
	}
	ids := map[dms.FileID]string{same: "a version", dms.NewFileID(dms.Object{Bucket: "raw", Key: loadKey, VersionID: "v1"}, dms.KindLoad): "the file"}
	for name, change := range map[string]func(*Deletion){
		"another version":   func(d *Deletion) { d.VersionID = "v2" },
		"another key":       func(d *Deletion) { d.Key = changeKey },
		"another bucket":    func(d *Deletion) { d.Bucket = "raw2" },
		"a sequencer":       func(d *Deletion) { d.VersionID = "" },
		"another sequencer": func(d *Deletion) { d.VersionID, d.Sequencer = "", "v1" },
		"a time":            func(d *Deletion) { d.VersionID, d.Sequencer = "", "" },
		"another time":      func(d *Deletion) { d.VersionID, d.Sequencer, d.Time = "", "", deletedAt.Add(1) },
	} {
		if other, taken := ids[id(change)]; taken {
			t.Errorf("%s is taken for %s", name, other)
		}
		ids[id(change)] = name
	}
}

// TestADeletionBeforeTheRegistrationsAreKnown: a process that has just begun, or one of several
// that did not hear of a table, still tells the table of it.
func TestADeletionBeforeTheRegistrationsAreKnown(t *testing.T) {
	b := newBench(t)
	s := b.service()
	b.register()
	b.delete(s, deletion(loadKey, ""))
	b.says(reports, "ObjectDeleted")
	b.says(dms.RawTable)
}
