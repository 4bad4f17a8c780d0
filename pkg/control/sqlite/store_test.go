package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/openblotter/blotter/pkg/control/controltest"
	"github.com/openblotter/blotter/pkg/control/sqlite"
)

func openTemp(t testing.TB) *sqlite.Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "control.db"))
}

func openAt(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	controltest.Run(t, func(t *testing.T) controltest.Store { return openTemp(t) })
}
