package main

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// flipIn changes one bit in the middle of the first file below a folder with this suffix.
func (s *testSystem) flipIn(folder, suffix string) {
	s.t.Helper()
	var found string
	s.check(filepath.WalkDir(filepath.Join(s.dir, folder), func(path string, _ fs.DirEntry, err error) error {
		if found == "" && strings.HasSuffix(path, suffix) {
			found = path
		}
		return err
	}))
	info, err := os.Stat(found)
	s.check(err)
	b := s.read(found)
	b[len(b)/2] ^= 1
	s.check(os.Chmod(found, 0o600), os.WriteFile(found, b, 0o600), os.Chtimes(found, info.ModTime(), info.ModTime()))
}

// store keeps the folder of a stopped system, times and all, for again.
func (s *testSystem) store() {
	s.t.Helper()
	s.stored = s.t.TempDir()
	copyFolder(s.t, s.dir, s.stored)
}

// again is the system as it was stored, for another test. It has its place, since its tables
// name their files by it: one test at a time.
func (s *testSystem) again(t *testing.T) *testSystem {
	t.Helper()
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, s.stored, s.dir)
	return &testSystem{t: t, dir: s.dir}
}

// copyFolder copies files with their permissions and times, by which raw files are known.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, name)
		if e.IsDir() {
			return os.MkdirAll(at, 0o755)
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(at, b, info.Mode().Perm()), os.Chtimes(at, info.ModTime(), info.ModTime()))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dropUnregistered lays a load of a table into the raw folder that is not registered.
func (s *testSystem) dropUnregistered(table string) {
	s.t.Helper()
	path := filepath.Join(s.dir, roles.RawDir, "dms/rms", table, "LOAD00000001.csv")
	s.check(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("id,status,amount\n1,open,1.50\n"), 0o600))
}

// inSQLite runs one statement on a database of the system.
func (s *testSystem) inSQLite(name, statement string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(s.dir, name))
	s.check(err)
	done, err := db.ExecContext(s.t.Context(), statement)
	s.check(err)
	n, err := done.RowsAffected()
	s.check(err, db.Close())
	if n == 0 {
		s.t.Fatalf("%s changes nothing", statement)
	}
}

// flipValue changes one bit of the last value in the first column of a data file.
func (s *testSystem) flipValue() {
	s.t.Helper()
	path := s.dataFile()
	b := s.read(path)
	file, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	s.check(err)
	column := file.Metadata().RowGroups[0].Columns[0].MetaData
	b[column.DataPageOffset+column.TotalCompressedSize-1] ^= 1
	s.check(os.Chmod(path, 0o600), os.WriteFile(path, b, 0o600))
}

// claimLess has the report of a quarantined file tell of another row.
func (s *testSystem) claimLess() {
	s.t.Helper()
	changed := 0
	s.check(filepath.WalkDir(filepath.Join(s.dir, roles.FailedDir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "report.json" {
			return err
		}
		changed++
		b := strings.Replace(string(s.read(path)), `"row": `, `"row": 7`, 1)
		return errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, []byte(b), 0o600))
	}))
	if changed == 0 {
		s.t.Fatal("there is no report")
	}
}

// TestFsckFindsWhatWasAltered: what was changed or taken away by other hands is found, at
// its place. What only its bytes tell is found with --bytes.
func TestFsckFindsWhatWasAltered(t *testing.T) {
	t.Parallel()
	const waiting = "dms/rms/reports/20240304-080000000.csv"
	prepared := startSystem(t)
	prepared.fill()
	prepared.dropUnregistered("nowhere")
	prepared.sealed()
	prepared.halt()
	if kinds, report, err := prepared.fsck("--bytes"); err != nil {
		t.Fatalf("before, it finds %q: %+v", kinds, report.Findings)
	}
	prepared.store()
	for name, c := range map[string]struct {
		want  string
		table dms.TableID
		bytes bool // only its bytes tell
		plant func(*testSystem)
	}{
		"a staged file":           {fsck.StagedChanged, reportsID, true, func(s *testSystem) { s.flipIn(roles.StagingDir, ".parquet") }},
		"a manifest":              {fsck.StagedChanged, reportsID, true, func(s *testSystem) { s.flipIn(roles.StagingDir, "manifest.json") }},
		"a copy":                  {fsck.FailedCopyChanged, reportsID, true, func(s *testSystem) { s.flipIn(roles.FailedDir, ".csv") }},
		"the raw file that waits": {fsck.RawGone, reportsID, false, func(s *testSystem) { s.check(os.Remove(filepath.Join(s.dir, roles.RawDir, waiting))) }},
		"a registration": {fsck.ControlDiffers, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `DELETE FROM specs WHERE table_id = (SELECT id FROM tables WHERE name = 'reports')`)
		}},
		"a state that is none": {fsck.ControlUnreadable, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE tables SET state = CAST('{' AS BLOB) WHERE name = 'reports'`)
		}},
		"an event that is still to be said": {fsck.ControlUnreadable, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `INSERT INTO outbox SELECT id, 0, x'00' FROM tables WHERE name = 'reports'`)
		}},
		"what is known of a file": {fsck.ControlUnreadable, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE files SET body = CAST('{' AS BLOB) WHERE state = 'published'`)
		}},
		"the time of a file": {fsck.ControlUnreadable, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE files SET last_modified = 'yesterday' WHERE state = 'published'`)
		}},
		"a registration that is none": {fsck.ControlUnreadable, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE specs SET json = CAST('{' AS BLOB) WHERE table_id = (SELECT id FROM tables WHERE name = 'reports')`)
		}},
		"the columns of a file": {fsck.ControlDiffers, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE files SET live = 1 - live WHERE state = 'published'`)
		}},
		"the state of a file": {fsck.ControlDiffers, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE files SET state = 'skipped' WHERE state = 'published'`)
		}},
		"what a file was": {fsck.ControlDiffers, reportsID, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE objects SET etag = 'a' || etag WHERE key LIKE '%060000000%'`)
		}},
		"a report":             {fsck.FailedCopyChanged, reportsID, true, func(s *testSystem) { s.claimLess() }},
		"a data file":          {fsck.LakeUnreadable, reportsID, true, func(s *testSystem) { s.flipValue() }},
		"remembered deletes":   {fsck.LakeObjectChanged, reportsID, true, func(s *testSystem) { s.flipIn(filepath.Join(roles.CuratedDir, "_tombstones"), ".parquet") }},
		"a published raw file": {fsck.RawChanged, reportsID, true, func(s *testSystem) { s.flipIn(roles.RawDir, "060000000.csv") }},
		"all that proves a row": {fsck.RawGone, reportsID, true, func(s *testSystem) {
			s.check(os.RemoveAll(filepath.Join(s.dir, roles.StagingDir)), os.Remove(filepath.Join(s.dir, roles.RawDir, "dms/rms/reports/20240304-060000000.csv")))
		}},
		"an object": {fsck.ControlDiffers, reportsID, false, func(s *testSystem) { s.inSQLite(roles.ControlFile, `DELETE FROM objects WHERE key LIKE '%060000000%'`) }},
		"an object that is held": {fsck.ControlDiffers, dms.RawTable, false, func(s *testSystem) {
			s.inSQLite(roles.ControlFile, `UPDATE objects SET state = 'told' WHERE state = 'held'`)
		}},
		"the order of the hold queue": {fsck.HoldDiffers, reportsID, false, func(s *testSystem) { s.inSQLite("hold.db", `UPDATE held SET file_order = 'a' || file_order`) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepared.again(t)
			c.plant(s)
			if kinds, _, err := s.fsck(); c.bytes && err != nil || !c.bytes && !slices.Equal(kinds, []string{c.want}) {
				t.Errorf("without --bytes it finds %q (%v)", kinds, err)
			}
			kinds, report, err := s.fsck("--bytes")
			if !errors.Is(err, errUnsettled) || !slices.Equal(kinds, []string{c.want}) {
				t.Fatalf("it finds %q (%v)", kinds, err)
			}
			for _, f := range report.Findings {
				if !f.Note && (f.Table != c.table || f.Detail == "" || f.Do == "") {
					t.Errorf("the finding does not say where, what and what to do: %+v", f)
				}
			}
		})
	}
}

// TestFsckOfHeldObjectsThatWereTakenIn: an object that was held is told of by its table,
// once that is registered.
func TestFsckOfHeldObjectsThatWereTakenIn(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.dropUnregistered("later")
	s.sealed()
	if kinds, report, err := s.fsck(); err != nil {
		t.Errorf("while it is held it finds %q: %+v", kinds, report.Findings)
	}
	s.must("apply", "--reason", "test", "-f", s.write("later.yaml", strings.NewReplacer("rms.reports", "rms.later", "rms/reports", "rms/later").Replace(testTables)))
	s.sealed()
	if kinds, report, err := s.fsck(); err != nil || report.Tables < 2 {
		t.Errorf("once it is taken in it finds %q: %+v", kinds, report.Findings)
	}
}

// TestFsckOfDeletions: objects that were deleted, however that was told, are no finding.
func TestFsckOfDeletions(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	s.deliver("LOAD00000001.csv", "id,status,amount\n1,open,1.50\n")
	s.sealed()
	const folder = "dms/rms/reports/"
	at := time.Date(2024, 3, 5, 8, 0, 0, 0, time.UTC)
	for _, d := range []ingestrouter.Deletion{
		{Key: folder + "LOAD00000001.csv", Sequencer: "1", Expired: true},
		{Key: folder + "LOAD00000001.csv", VersionID: "v1"},
		{Key: folder + "20240304-060000000.csv", VersionID: "m1", Marker: true},
		{Key: "elsewhere/x.csv", Sequencer: "2"},
	} {
		d.Bucket, d.Time = s.process.Raw.Name(), at
		s.check(s.process.IngestRouter.Delete(t.Context(), d))
	}
	s.settle()
	if kinds, report, err := s.fsck("--bytes"); err != nil {
		t.Errorf("it finds %q: %+v", kinds, report.Findings[0])
	}
}
