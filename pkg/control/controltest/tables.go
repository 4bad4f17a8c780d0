package controltest

import (
	"errors"
	"slices"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

func nothingThere(t *testing.T, s Store) {
	ctx := t.Context()
	_, err := s.Table(ctx, reports)
	wantNotFound(t, "Table", err)
	_, err = s.File(ctx, reports, "00")
	wantNotFound(t, "File", err)
	_, err = s.Spec(ctx, reports, 0)
	wantNotFound(t, "Spec", err)
	_, err = s.Object(ctx, "00")
	wantNotFound(t, "Object", err)
	tables, err := s.Tables(ctx)
	must(t, err)
	unflushed, err := s.Unflushed(ctx)
	must(t, err)
	live, err := s.LiveFiles(ctx, reports)
	must(t, err)
	published, err := s.PublishedChanges(ctx, reports, base)
	must(t, err)
	files, err := s.Files(ctx, reports, nil, 10)
	must(t, err)
	if len(tables)+len(unflushed)+len(live)+len(published)+len(files) != 0 {
		t.Error("an empty store lists something")
	}
	must(t, s.ClearOutbox(ctx, reports, 1)) // nothing to clear is no error
}

func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, control.ErrNotFound) {
		t.Errorf("%s: got %v, want ErrNotFound", what, err)
	}
}

func wantConflict(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, control.ErrConflict) {
		t.Errorf("%s: got %v, want ErrConflict", what, err)
	}
}

func commitAndLoad(t *testing.T, s Store) {
	ctx := t.Context()
	must(t, s.Commit(ctx, control.Change{Table: reports, State: []byte("one")}))
	checkItem(t, s, reports, 1, "one")
	must(t, s.Commit(ctx, control.Change{Table: reports, Expect: 1, State: []byte("two\x00\xff"),
		Outbox: events("b", "a", "", "c")}))
	checkItem(t, s, reports, 2, "two\x00\xff", "b", "a", "", "c")
	must(t, s.Commit(ctx, control.Change{Table: persons}))
	checkItem(t, s, persons, 1, "")
}

func commitConditions(t *testing.T, s Store) {
	ctx := t.Context()
	wantConflict(t, "Commit to a table that is not there",
		s.Commit(ctx, control.Change{Table: reports, Expect: 1, State: []byte("x")}))
	_, err := s.Table(ctx, reports)
	wantNotFound(t, "Table", err)
	must(t, s.Commit(ctx, control.Change{Table: reports, State: []byte("one")}))
	for _, expect := range []uint64{0, 2, 7} {
		wantConflict(t, "Commit on another version",
			s.Commit(ctx, control.Change{Table: reports, Expect: expect, State: []byte("x")}))
	}
	checkItem(t, s, reports, 1, "one")
}

func outboxRule(t *testing.T, s Store) {
	ctx := t.Context()
	must(t, s.Commit(ctx, control.Change{Table: reports, State: []byte("one"), Outbox: events("e")}))
	wantConflict(t, "Commit over a full outbox",
		s.Commit(ctx, control.Change{Table: reports, Expect: 1, State: []byte("two")}))
	checkItem(t, s, reports, 1, "one", "e")
	must(t, s.ClearOutbox(ctx, reports, 1))
	must(t, s.Commit(ctx, control.Change{Table: reports, Expect: 1, State: []byte("two")}))
	checkItem(t, s, reports, 2, "two")
}

func clearOutbox(t *testing.T, s Store) {
	ctx := t.Context()
	for _, table := range []dms.TableID{reports, persons} {
		must(t, s.Commit(ctx, control.Change{Table: table, State: []byte("s"), Outbox: events("1", "2")}))
	}
	checkTables(t, s.Unflushed, persons, reports)
	for _, version := range []uint64{0, 2} {
		must(t, s.ClearOutbox(ctx, reports, version))
		checkItem(t, s, reports, 1, "s", "1", "2")
	}
	must(t, s.ClearOutbox(ctx, reports, 1))
	must(t, s.ClearOutbox(ctx, reports, 1))
	checkItem(t, s, reports, 1, "s")
	checkItem(t, s, persons, 1, "s", "1", "2")
	checkTables(t, s.Unflushed, persons)
	checkTables(t, s.Tables, persons, reports)
}

func tablesAreApart(t *testing.T, s Store) {
	ctx := t.Context()
	// Names that a careless key would mix up, in the order that Tables gives.
	tables := []dms.TableID{
		{DB: "a", Table: "b"}, {DB: "a", Table: "b#c"}, {DB: "a", Table: "b.c"},
		{DB: "a", Table: "c"}, {DB: "a#b", Table: "c"}, {DB: "rms", Table: "@txn"}, {DB: "rms", Table: "Größe 1"},
	}
	for i, table := range tables {
		must(t, s.Commit(ctx, control.Change{Table: table, State: []byte(table.String()),
			Files: []control.FileRow{file(1, "waiting", true), file(i+10, "waiting", true)}}))
	}
	checkTables(t, s.Tables, tables...)
	for i, table := range tables {
		checkItem(t, s, table, 1, table.String())
		live, err := s.LiveFiles(ctx, table)
		must(t, err)
		checkFiles(t, "live files of "+table.String(), live, file(1, "waiting", true), file(i+10, "waiting", true))
	}
}

func specs(t *testing.T, s Store) {
	ctx := t.Context()
	for v := uint64(1); v <= 11; v++ {
		must(t, s.Commit(ctx, control.Change{Table: reports, Expect: v - 1,
			Spec: &control.Spec{Version: v, JSON: []byte{byte(v)}}}))
	}
	must(t, s.Commit(ctx, control.Change{Table: reports, Expect: 11}))
	for asked, want := range map[uint64]uint64{0: 11, 1: 1, 2: 2, 10: 10, 11: 11} {
		spec, err := s.Spec(ctx, reports, asked)
		must(t, err)
		if spec.Version != want || !slices.Equal(spec.JSON, []byte{byte(want)}) {
			t.Errorf("Spec(%d): got version %d, %v", asked, spec.Version, spec.JSON)
		}
	}
	_, err := s.Spec(ctx, reports, 12)
	wantNotFound(t, "a version that is not there", err)
	_, err = s.Spec(ctx, persons, 0)
	wantNotFound(t, "another table", err)
}
