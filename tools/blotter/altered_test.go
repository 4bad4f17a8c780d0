package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// inForce chooses the newest registration of rms.reports in a control store.
const inForce = ` WHERE table_id = (SELECT id FROM tables WHERE name = 'reports') AND version = 2`

// TestAnAlteredRegistration: nothing goes on with a registration that is not the one in the
// log, nor with a state that tells of another one; it is written anew from the log.
func TestAnAlteredRegistration(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	second := s.write("second.yaml", strings.Replace(testTables, "quiet_period: 0s", "quiet_period: 5m", 1))
	s.must("apply", "--reason", "test", "-f", second)
	s.halt()
	store := s.keepCopy(roles.ControlFile)
	for name, statement := range map[string]string{
		"a column is text":          `UPDATE specs SET json = CAST(replace(json, '"status"', '"statux"') AS BLOB)` + inForce,
		"it is gone":                `DELETE FROM specs` + inForce,
		"the one before is newest":  `UPDATE specs SET version = 3` + inForce,
		"the state has its hash":    `UPDATE tables SET state = CAST(replace(state, '"spec_sha256":"', '"spec_sha256":"0') AS BLOB) WHERE name = 'reports'`,
		"the state has its version": `UPDATE tables SET state = CAST(replace(state, '"spec_version":2', '"spec_version":1') AS BLOB) WHERE name = 'reports'`,
	} {
		store()
		s.inSQLite(roles.ControlFile, statement)
		out, err := s.blotter("up", "--until-idle", "--tables", second)
		if !errors.Is(err, roles.ErrStoreAltered) || !strings.Contains(err.Error(), "rms.reports") || !strings.Contains(err.Error(), "replay --rebuild") {
			t.Fatalf("%s: it says %v\n%s", name, err, out)
		}
	}
	if _, err := s.blotter("apply", "--reason", "test", "-f", second); !errors.Is(err, roles.ErrStoreAltered) {
		t.Errorf("apply says %v", err)
	}
	if kinds, report, err := s.fsck("--repair", "--reason", "test"); err == nil || !slices.Contains(kinds, fsck.ControlDiffers) || report.Refused == "" {
		t.Errorf("fsck finds %q (%v)", kinds, err)
	}
	s.lose(roles.ControlFile)
	s.must("replay", "--rebuild")
	s.must("up", "--until-idle", "--tables", second)
}

// TestARegistrationIsAlteredMeanwhile: a process that loads one finds it out, too, whether
// it is the newest; and one that is the same again is taken.
func TestARegistrationIsAlteredMeanwhile(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.must("apply", "--reason", "test", "-f", s.write("second.yaml", strings.Replace(testTables, "quiet_period: 0s", "quiet_period: 5m", 1)))
	s.settle()
	ask := func(version uint64) error {
		_, err := s.process.Specs.Spec(t.Context(), reportsID, version)
		return err
	}
	s.check(ask(0), ask(0))
	const alter = `UPDATE specs SET json = CAST(replace(json, '"status"', '"statux"') AS BLOB) WHERE table_id = (SELECT id FROM tables WHERE name = 'reports')`
	s.inSQLite(roles.ControlFile, alter)
	for _, version := range []uint64{0, 1} {
		if err := ask(version); !errors.Is(err, roles.ErrStoreAltered) || !eventlog.IsPermanent(err) {
			t.Errorf("version %d: %v", version, err)
		}
	}
	s.inSQLite(roles.ControlFile, strings.NewReplacer(`"status"`, `"statux"`, `"statux"`, `"status"`).Replace(alter))
	s.check(ask(0), ask(1))
}

// TestLostPlaces: a system that no longer knows where its files lie does not go on with a
// folder of its own, which would be empty.
func TestLostPlaces(t *testing.T) {
	t.Parallel()
	s := &testSystem{t: t, dir: t.TempDir()}
	raw := t.TempDir()
	folder := filepath.Join(raw, "dms/rms/reports")
	s.check(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "LOAD00000001.csv"), []byte("id,status,amount\n1,open,1.50\n"), 0o600))
	tables := s.write("tables.yaml", testTables)
	if out, err := s.blotter("up", "--until-idle", "--tables", tables, "--raw", raw); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.lose("places.json")
	for range 2 { // a refusal makes nothing
		out, err := s.blotter("up", "--until-idle")
		if !errors.Is(err, roles.ErrRawUnknown) || !strings.Contains(err.Error(), "--raw") || !strings.Contains(err.Error(), filepath.Join(s.dir, roles.RawDir)) {
			t.Fatalf("it says %v\n%s", err, out)
		}
	}
	s.must("up", "--until-idle", "--raw", raw)
	s.must("up", "--until-idle")
}
