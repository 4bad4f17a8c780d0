package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/tools/internal/fsck"
	"github.com/openblotter/blotter/tools/internal/hammer"
	"github.com/openblotter/blotter/tools/internal/rebuild"
	"github.com/openblotter/blotter/tools/internal/roles"
)

// TestRebuiltAfterCrashes: after a history in which all went wrong that can, the files
// that the log names give the rows of each table once more.
func TestRebuiltAfterCrashes(t *testing.T) {
	t.Parallel()
	for _, seed := range []uint64{2, 3} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			cfg := hammer.DefaultConfig(seed)
			cfg.Dir = t.TempDir()
			cfg.Check = func(_ context.Context, at hammer.Rest) ([]string, error) {
				rebuiltWorld{t, at, rand.New(rand.NewPCG(seed, 6))}.check()
				return nil, nil
			}
			report, err := hammer.Run(t.Context(), cfg)
			holds(t, report.Violations, err)
		})
	}
}

// rebuiltWorld is a system at rest whose tables are rebuilt.
type rebuiltWorld struct {
	t   *testing.T
	at  hammer.Rest
	rng *rand.Rand
}

// check rebuilds each table as of the end and as of a publication before it, in
// batches of another size, tells the life of some rows, and finds no damage. Then one
// row is changed behind Blotter's back, and is named.
func (w rebuiltWorld) check() {
	t, records, specs := w.t, w.at.Records, w.at.Tables
	t.Helper()
	cfg := roles.DefaultConfig()
	cfg.Dir = w.at.Dir
	stores, err := roles.OpenStores(t.Context(), cfg, testLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stores.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, spec := range specs {
		var published []uint64
		for _, r := range records {
			if _, ok := r.Event.(*blotterv1.FilesPublished); ok && r.Table == spec.ID {
				published = append(published, r.Seq)
			}
		}
		if len(published) == 0 {
			continue
		}
		for _, until := range []uint64{published[w.rng.IntN(len(published))], records[len(records)-1].Seq} {
			c, made := w.rebuild(stores, spec.ID, until)
			// A second load was written over the first, whose staged output is still there.
			gone := w.at.Replaced[spec.ID] && until < records[len(records)-1].Seq
			faultless := made.Faultless() || gone && len(made.Lost)+len(made.Changed) == 0
			if !c.Equal() || !faultless || made.Identical+len(made.Gone) != made.Files || c.LakeRows == 0 && until == records[len(records)-1].Seq {
				t.Errorf("%s as of %d: rebuilt from %+v it is %+v", spec.ID, until, made, c)
			}
		}
	}
	w.checkExplained(stores, specs)
	w.checkAgreed(cfg, stores)
	w.tamper(stores, specs[w.rng.IntN(len(specs))].ID, records[len(records)-1].Seq)
}

// checkAgreed: nothing that the crashes left is damage.
func (w rebuiltWorld) checkAgreed(cfg roles.Config, stores *roles.Stores) {
	w.t.Helper()
	hold, closer, err := roles.OpenHold(w.t.Context(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := fsck.Run(w.t.Context(), fsck.Deps{
		Log: w.at.Log, Control: w.at.Store, Hold: hold, Staging: stores.Staging, Failed: stores.Failed, Lake: stores.Lake,
	}, dms.TableID{})
	if err := errors.Join(err, closer()); err != nil {
		w.t.Fatal(err)
	}
	if report.Left() > 0 || report.Tables < len(w.at.Tables) {
		w.t.Errorf("%d tables were looked at", report.Tables)
		for _, f := range report.Findings {
			w.t.Logf("%+v", f)
		}
	}
}

// rebuild rebuilds a table and compares it with the snapshot of that time.
func (w rebuiltWorld) rebuild(stores *roles.Stores, id dms.TableID, until uint64) (*rebuild.Comparison, *rebuild.Rebuilt) {
	t := w.t
	t.Helper()
	h, err := rebuild.ReadHistory(t.Context(), w.at.Log, eventlog.Filter{Table: id, UntilSeq: until})
	if err != nil {
		t.Fatal(err)
	}
	into, err := roles.NewCopy(t.Context(), t.TempDir(), testLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := into.Close(); err != nil {
			t.Error(err)
		}
	}()
	cfg := rebuild.DefaultConfig()
	cfg.Batch = 1 + w.rng.IntN(4)
	made, err := rebuild.Run(t.Context(), cfg, rebuild.Deps{
		Raw: stores.Raw, Staging: stores.Staging, Failed: stores.Failed, Into: into.Lake, Scratch: into.Staging,
	}, h)
	if err != nil {
		t.Fatal(err)
	}
	rebuilt, err := into.Lake.RowsAt(t.Context(), id, made.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	there, err := stores.Lake.RowsAt(t.Context(), id, h.Snapshots[len(h.Snapshots)-1].ID)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rebuild.Compare(t.Context(), rebuild.CompareConfig{
		Key: h.Spec().PrimaryKey, Limit: 10, Memory: 1 << 10, ScratchDir: t.TempDir(),
	}, rebuilt, there, made)
	if err != nil {
		t.Fatal(err)
	}
	return c, made
}

// tamper changes one row of a table in the lake's own files, and has it found.
func (w rebuiltWorld) tamper(stores *roles.Stores, id dms.TableID, until uint64) {
	t := w.t
	t.Helper()
	if id.IsTransactions() {
		id.Table = "reports"
	}
	file, row := anyRow(t, stores.Lake, id, w.rng)
	contents, err := stores.Lake.Contents(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range contents.DataFiles {
		changeNote(t, filepath.Join(w.at.Dir, roles.CuratedDir, filepath.FromSlash(f.Path)), file, row)
	}
	c, made := w.rebuild(stores, id, until)
	if !made.Faultless() || c.Different != 1 || c.Missing+c.Surplus != 0 || len(c.Differences) != 1 {
		t.Fatalf("%s: row %d of file %s was changed; found is %+v, %+v", id, row, file, made, c)
	}
	want := rebuild.Place{File: file, Row: row}
	d := c.Differences[0]
	if *d.Lake != want || *d.Rebuilt != want || len(d.Columns) != 1 || d.Columns[0].Column != "note" || d.Columns[0].Lake != nil {
		t.Errorf("%s: row %d of file %s was changed; found is %+v", id, row, file, d)
	}
}

// anyRow gives where some row of a table came from.
func anyRow(t *testing.T, l *lake.Lake, id dms.TableID, rng *rand.Rand) (file dms.FileID, row int64) {
	t.Helper()
	set, err := l.Rows(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for r, err := range set.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; rng.IntN(seen) == 0 {
			file, row = r.File, r.Number
		}
	}
	return file, row
}

// changeNote writes a data file anew with another note in one row.
func changeNote(t *testing.T, path string, file dms.FileID, row int64) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int {
		leaf, ok := in.Schema().Lookup(name)
		if !ok {
			t.Fatalf("%s has no column %s", path, name)
		}
		return leaf.ColumnIndex
	}
	note, fromFile, fromRow := column("note"), column(registry.ColumnFile), column(registry.ColumnRow)
	var out bytes.Buffer
	pw := parquet.NewWriter(&out, in.Schema())
	for _, group := range in.RowGroups() {
		rows := group.Rows()
		for {
			buf := make([]parquet.Row, 16)
			n, err := rows.ReadRows(buf)
			for _, r := range buf[:n] {
				if string(r[fromFile].ByteArray()) == string(file) && r[fromRow].Int64() == row {
					r[note] = parquet.ByteArrayValue([]byte("never said")).Level(0, 1, note)
				}
			}
			if _, err := pw.WriteRows(buf[:n]); err != nil {
				t.Fatal(err)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := pw.Close(); err != nil {
		t.Fatal(err)
	}
	// It may be a hard link of a staged file.
	if err := errors.Join(os.Remove(path), os.WriteFile(path, out.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}
