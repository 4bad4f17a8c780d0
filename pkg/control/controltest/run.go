package controltest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// Store is what an adapter offers.
type Store interface {
	control.Store
	control.Objects
	control.Restorer
	control.Executions
}

// Run runs the suite. open gives an empty store each time it is called and
// closes it at the end of the test that it is given.
func Run(t *testing.T, open func(t *testing.T) Store) {
	suite := []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"NothingThere", nothingThere},
		{"CommitAndLoad", commitAndLoad},
		{"CommitConditions", commitConditions},
		{"OutboxRule", outboxRule},
		{"ClearOutbox", clearOutbox},
		{"CommitRace", commitRace},
		{"CommitRaceForTheFirst", commitRaceForTheFirst},
		{"TablesAreApart", tablesAreApart},
		{"CommitIsWhole", commitIsWhole},
		{"Canceled", canceled},
		{"CanceledAmidCommits", canceledAmidCommits},
		{"ReadYourCommits", readYourCommits},
		{"Specs", specs},
		{"FileQueries", fileQueries},
		{"FileRoundTrip", fileRoundTrip},
		{"Restore", restore},
		{"ObjectRoundTrip", objectRoundTrip},
		{"ObjectRevisions", objectRevisions},
		{"ObjectRace", objectRace},
		{"ObjectsInOrder", objectsInOrder},
		{"ExecutionRoundTrip", executionRoundTrip},
		{"ExecutionRevisions", executionRevisions},
		{"ExecutionsWaiting", executionsWaiting},
	}
	for _, s := range suite {
		t.Run(s.name, func(t *testing.T) { s.test(t, open(t)) })
	}
	t.Run("Model", func(t *testing.T) { model(t, open) })
}

var (
	reports = dms.TableID{DB: "rms", Table: "reports"}
	persons = dms.TableID{DB: "rms", Table: "persons"}
)

// base is a time with all its nanoseconds.
var base = time.Date(2024, 7, 5, 12, 30, 15, 123456789, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// file makes row number n: its order and its time grow with n.
func file(n int, state string, live bool) control.FileRow {
	return control.FileRow{
		FileID:       dms.FileID(fmt.Sprintf("%032x", n)),
		Kind:         dms.KindChange,
		State:        state,
		Order:        dms.FileOrder(fmt.Sprintf("%08d", n)),
		LastModified: base.Add(time.Duration(n) * time.Second),
		Live:         live,
		Body:         []byte(fmt.Sprintf("body %d", n)),
	}
}

func equalFile(a, b control.FileRow) bool {
	return a.FileID == b.FileID && a.Kind == b.Kind && a.State == b.State && a.Order == b.Order &&
		a.LastModified.Equal(b.LastModified) && a.Live == b.Live && bytes.Equal(a.Body, b.Body)
}

func checkFiles(t *testing.T, what string, got []control.FileRow, want ...control.FileRow) {
	t.Helper()
	if !slices.EqualFunc(got, want, equalFile) {
		t.Errorf("%s:\n got %v\nwant %v", what, ids(got), ids(want))
	}
}

func ids(files []control.FileRow) []string {
	var list []string
	for _, f := range files {
		list = append(list, fmt.Sprintf("%s/%s/%v/%s/%s", f.FileID, f.State, f.Live, f.LastModified, f.Body))
	}
	return list
}

func checkItem(t *testing.T, s Store, table dms.TableID, version uint64, state string, outbox ...string) {
	t.Helper()
	item, err := s.Table(t.Context(), table)
	must(t, err)
	if item.Table != table || item.Version != version || string(item.State) != state {
		t.Errorf("table %s: got %v version %d state %q, want version %d state %q",
			table, item.Table, item.Version, item.State, version, state)
	}
	var got []string
	for _, e := range item.Outbox {
		got = append(got, string(e))
	}
	if !slices.Equal(got, outbox) {
		t.Errorf("table %s: outbox %q, want %q", table, got, outbox)
	}
}

func events(list ...string) [][]byte {
	var out [][]byte
	for _, e := range list {
		out = append(out, []byte(e))
	}
	return out
}
