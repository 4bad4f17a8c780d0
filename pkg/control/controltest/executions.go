package controltest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

func execution(n int) control.ExecutionRow {
	return control.ExecutionRow{
		FileID: dms.FileID(fmt.Sprintf("%032x", n)), Execution: "arn:aws:states:x:1:execution:blotter:" + fmt.Sprint(n),
		Since: base, Token: strings.Repeat("AQC+/=", 200), Parts: []dms.FileID{"a", "b"}, End: []byte{0, 1, 2},
	}
}

func equalExecution(a, b control.ExecutionRow) bool {
	return a.FileID == b.FileID && a.Execution == b.Execution && a.Since.Equal(b.Since) && a.Since.IsZero() == b.Since.IsZero() &&
		a.Token == b.Token && slices.Equal(a.Parts, b.Parts) && bytes.Equal(a.End, b.End) && a.Revision == b.Revision
}

func executionRoundTrip(t *testing.T, s Store) {
	if _, err := s.Execution(t.Context(), "0"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("an execution of an empty store: %v", err)
	}
	for _, row := range []control.ExecutionRow{execution(1), {FileID: "00"}, {FileID: "01", End: []byte("{}")}} {
		must(t, s.PutExecution(t.Context(), row))
		got, err := s.Execution(t.Context(), row.FileID)
		must(t, err)
		row.Revision = 1
		if !equalExecution(got, row) {
			t.Errorf("got %+v, want %+v", got, row)
		}
	}
}

func executionRevisions(t *testing.T, s Store) {
	ctx := t.Context()
	row := execution(1)
	row.Revision = 1
	wantConflict(t, "a revision of nothing", s.PutExecution(ctx, row))
	row.Revision = 0
	must(t, s.PutExecution(ctx, row))
	wantConflict(t, "the first revision again", s.PutExecution(ctx, row))
	row.Revision = 2
	wantConflict(t, "a revision to come", s.PutExecution(ctx, row))
	next := control.ExecutionRow{FileID: row.FileID, Execution: "another", Revision: 1}
	must(t, s.PutExecution(ctx, next))
	wantConflict(t, "a revision that has passed", s.PutExecution(ctx, next))
	got, err := s.Execution(ctx, row.FileID)
	must(t, err)
	next.Revision = 2
	if !equalExecution(got, next) {
		t.Errorf("got %+v, want %+v", got, next)
	}
}

// executionsWaiting: those with a token are listed, by file and page by page.
func executionsWaiting(t *testing.T, s Store) {
	ctx := t.Context()
	put := func(n int, token string, revision uint64) {
		t.Helper()
		row := execution(n)
		row.Token, row.Revision = token, revision
		must(t, s.PutExecution(ctx, row))
	}
	for _, n := range []int{5, 3, 9, 1, 7} {
		put(n, "t", 0)
	}
	put(2, "", 0)
	put(3, "", 1)  // answered
	put(5, "u", 1) // another one waits
	put(9, "", 1)
	put(9, "again", 2)
	id := func(n int) dms.FileID { return execution(n).FileID }
	check := func(after dms.FileID, limit int, want ...dms.FileID) {
		t.Helper()
		rows, err := s.Waiting(ctx, after, limit)
		must(t, err)
		var got []dms.FileID
		for _, row := range rows {
			got = append(got, row.FileID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %q wait %v, want %v", after, got, want)
		}
	}
	check("", 10, id(1), id(5), id(7), id(9))
	check("", 2, id(1), id(5))
	check(id(5), 2, id(7), id(9))
	check(id(6), 1, id(7))
	check(id(9), 2)
}
