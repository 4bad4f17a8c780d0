package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestWhatIsFoundHasACodeOfItsOwn: a look that finds something wrong ends with another code
// than one that could not look, and tells of the rest all the same.
func TestWhatIsFoundHasACodeOfItsOwn(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	s.halt()
	whole := s.keepCopy(roles.CuratedDir)
	catalog := s.keepCopy(roles.CatalogFile)
	look := func(code int, says string, args ...string) {
		t.Helper()
		out, err := s.blotter(args...)
		if err == nil && code == 0 {
			return
		}
		if err == nil || exitCode(err) != code || !strings.Contains(out+err.Error(), says) {
			t.Errorf("blotter %s ends with %v, expected code %d and %q\n%s", strings.Join(args, " "), err, code, says, out)
		}
	}
	look(1, "is not registered", "explain", "rms.nowhere", "1")
	s.flipValue()
	look(exitUnsettled, "the lake cannot be asked: the table cannot be read", "explain", "rms.reports", "1")
	look(exitUnsettled, "its rows cannot be compared with those of the lake", "replay", "--rows")
	whole()
	look(0, "", "explain", "rms.reports", "1")

	s.lose(roles.CatalogFile)
	look(exitUnsettled, "the catalog knows no such table", "explain", "rms.reports", "1")
	look(exitUnsettled, "the lake has no such table", "replay", "--rows")
	s.check(os.WriteFile(filepath.Join(s.dir, roles.CatalogFile), []byte(strings.Repeat("no catalog at all ", 512)), 0o600))
	look(1, "restore it from a backup", "explain", "rms.reports", "1")
	look(1, "restore it from a backup", "fsck")
	catalog()

	s.inSQLite(roles.ControlFile, `UPDATE files SET state = 'skipped' WHERE state = 'published'`)
	look(exitUnsettled, "do not agree", "replay")
}
