package controltest

import (
	"errors"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
)

// restore: a table that is restored goes on as if it had never been lost, and one that
// is there is left as it is.
func restore(t *testing.T, s Store) {
	ctx := t.Context()
	var files []control.FileRow
	for n := range 150 { // more than a transaction of some stores holds
		files = append(files, file(n, "published", n%2 == 0))
	}
	lost := control.Restored{
		Table: reports, Version: 41, State: []byte("state 41"), Files: files,
		Specs: []control.Spec{{Version: 1, JSON: []byte("{}")}, {Version: 2, JSON: []byte("[]")}},
	}
	must(t, s.Restore(ctx, lost))
	checkItem(t, s, reports, 41, "state 41")
	tables, err := s.Tables(ctx)
	must(t, err)
	if len(tables) != 1 || tables[0] != reports {
		t.Errorf("tables are %v", tables)
	}
	rows, err := s.Files(ctx, reports, nil, 1000)
	must(t, err)
	if len(rows) != len(files) {
		t.Errorf("%d files are there, %d were restored", len(rows), len(files))
	}
	live, err := s.LiveFiles(ctx, reports)
	must(t, err)
	if len(live) != 75 || !equalFile(live[1], files[2]) {
		t.Errorf("%d live files, the second of them %v", len(live), ids(live[1:2]))
	}
	spec, err := s.Spec(ctx, reports, 0)
	must(t, err)
	if spec.Version != 2 || string(spec.JSON) != "[]" {
		t.Errorf("the newest registration is %d %s", spec.Version, spec.JSON)
	}
	lost.State = []byte("another")
	if err := s.Restore(ctx, lost); !errors.Is(err, control.ErrConflict) {
		t.Errorf("restored again: %v", err)
	}
	checkItem(t, s, reports, 41, "state 41")
	if err := s.Commit(ctx, control.Change{Table: reports, Expect: 40, State: []byte("late")}); !errors.Is(err, control.ErrConflict) {
		t.Errorf("a commit on the version before: %v", err)
	}
	must(t, s.Commit(ctx, control.Change{Table: reports, Expect: 41, State: []byte("state 42"), Outbox: events("said")}))
	checkItem(t, s, reports, 42, "state 42", "said")
	if err := s.Restore(ctx, control.Restored{Table: persons}); err == nil {
		t.Error("a table without a version was restored")
	}
}
