package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/holdqueue/holdqueuetest"
	"github.com/openblotter/blotter/pkg/holdqueue/sqlite"
)

func open(t *testing.T, path string) *sqlite.Queue {
	t.Helper()
	q, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func TestContract(t *testing.T) {
	holdqueuetest.Run(t, func(t *testing.T) holdqueue.Queue {
		return open(t, filepath.Join(t.TempDir(), "holdqueue.db"))
	})
}

func TestKeptAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdqueue.db")
	table := dms.TableID{DB: "rms", Table: "reports"}
	q := open(t, path)
	if err := q.Hold(t.Context(), table, holdqueue.Item{FileID: "01", Order: "1"}); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	items, err := open(t, path).Held(t.Context(), table, 10)
	if err != nil || len(items) != 1 || items[0].FileID != "01" {
		t.Errorf("got %v, %v", items, err)
	}
}
