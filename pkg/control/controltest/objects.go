package controltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

func object(n int, state control.ObjectState) control.ObjectRow {
	return control.ObjectRow{
		FileID: dms.FileID(fmt.Sprintf("%032x", n)),
		Object: dms.Object{
			Bucket: "raw", Key: fmt.Sprintf("rms/a b+c%%20/é/LOAD%08X.csv", n), VersionID: "v",
			ETag: "e", Size: int64(n) << 33, LastModified: base,
		},
		State: state, Table: reports, After: uint64(n) << 40, Event: []byte{0, 1, 2}, Deliveries: 3,
	}
}

func equalObject(a, b control.ObjectRow) bool {
	sameTime := a.Object.LastModified.Equal(b.Object.LastModified)
	a.Object.LastModified, b.Object.LastModified = base, base
	return sameTime && a.FileID == b.FileID && a.Object == b.Object && a.Part == b.Part && a.State == b.State && a.Table == b.Table &&
		a.After == b.After && bytes.Equal(a.Event, b.Event) && a.Deliveries == b.Deliveries && a.Revision == b.Revision
}

func objectRoundTrip(t *testing.T, s Store) {
	part := object(2, control.ObjectHeld)
	part.Part = dms.Part{FileID: "f", Schema: "RMS 1", Table: "Größe/§"}
	rows := []control.ObjectRow{object(1, control.ObjectPending), {FileID: "00", State: control.ObjectHeld}, part}
	for _, row := range rows {
		must(t, s.PutObject(t.Context(), row))
		got, err := s.Object(t.Context(), row.FileID)
		must(t, err)
		row.Revision = 1
		if !equalObject(got, row) {
			t.Errorf("got %+v, want %+v", got, row)
		}
	}
}

func objectRevisions(t *testing.T, s Store) {
	ctx := t.Context()
	row := object(1, control.ObjectPending)
	row.Revision = 1
	wantConflict(t, "a revision of nothing", s.PutObject(ctx, row))
	row.Revision = 0
	must(t, s.PutObject(ctx, row))
	wantConflict(t, "the first revision again", s.PutObject(ctx, row))
	row.Revision = 2
	wantConflict(t, "a revision to come", s.PutObject(ctx, row))
	row.Revision, row.State, row.Event, row.Table, row.Part = 1, control.ObjectTold, nil, dms.TableID{}, dms.Part{FileID: "f", Schema: "s", Table: "t"}
	must(t, s.PutObject(ctx, row))
	wantConflict(t, "a revision that has passed", s.PutObject(ctx, row))
	got, err := s.Object(ctx, row.FileID)
	must(t, err)
	row.Revision = 2
	if !equalObject(got, row) {
		t.Errorf("got %+v, want %+v", got, row)
	}
}

func objectRace(t *testing.T, s Store) {
	ctx := t.Context()
	var wins atomic.Int64
	const each = 10
	race(racers, func(int) {
		for n := 0; n < each; {
			row, err := s.Object(ctx, "00")
			if errors.Is(err, control.ErrNotFound) {
				row = control.ObjectRow{FileID: "00", State: control.ObjectPending}
			} else if err != nil {
				t.Error(err)
				return
			}
			row.Deliveries++
			switch err := s.PutObject(ctx, row); {
			case err == nil:
				wins.Add(1)
				n++
			case !errors.Is(err, control.ErrConflict):
				t.Error(err)
				return
			}
		}
	})
	row, err := s.Object(ctx, "00")
	must(t, err)
	if row.Deliveries != racers*each || row.Revision != racers*each {
		t.Errorf("%d puts won, but the row counts %d in revision %d", wins.Load(), row.Deliveries, row.Revision)
	}
}

func objectsInOrder(t *testing.T, s Store) {
	ctx := t.Context()
	for _, n := range []int{5, 3, 9, 1, 7} {
		must(t, s.PutObject(ctx, object(n, control.ObjectPending)))
	}
	// A new state leaves the place in the order.
	told := object(3, control.ObjectTold)
	told.Revision = 1
	must(t, s.PutObject(ctx, told))
	first := object(5, control.ObjectPending)
	first.Revision = 1
	must(t, s.PutObject(ctx, first))
	check := func(state control.ObjectState, limit int, want ...dms.FileID) {
		t.Helper()
		rows, err := s.ObjectsIn(ctx, state, limit)
		must(t, err)
		var got []dms.FileID
		for _, row := range rows {
			got = append(got, row.FileID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s objects: got %v, want %v", state, got, want)
		}
	}
	id := func(n int) dms.FileID { return object(n, "").FileID }
	check(control.ObjectPending, 10, id(5), id(9), id(1), id(7))
	check(control.ObjectPending, 2, id(5), id(9))
	check(control.ObjectHeld, 10)
	given := object(9, control.ObjectDismissed)
	given.Revision = 1
	must(t, s.PutObject(ctx, given))
	check(control.ObjectDismissed, 10, id(9))
	check(control.ObjectPending, 10, id(5), id(1), id(7))
	back := object(9, control.ObjectPending)
	back.Revision = 2
	must(t, s.PutObject(ctx, back))
	check(control.ObjectDismissed, 10)
	for most, want := range map[int]int{1: 1, 4: 4, 5: 4} {
		if n, err := s.CountObjects(ctx, control.ObjectPending, most); err != nil || n != want {
			t.Errorf("%d objects are counted up to %d, want %d (%v)", n, most, want, err)
		}
	}
	if n, err := s.CountObjects(ctx, control.ObjectHeld, 10); err != nil || n != 0 {
		t.Errorf("%d held objects are counted (%v)", n, err)
	}
}
