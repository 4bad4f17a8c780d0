package positions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/positions"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/jobs/rows/rowstest"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/wire"
)

// world is a lake, and a Spark without Spark that stages for it.
type world struct {
	t      *testing.T
	lake   *lake.Lake
	tables *local.Bucket
	raw    objects.Bucket
	spark  *rowstest.Runner
	cfg    lake.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	raw, staging := jobstest.Buckets(t)
	tables, err := local.New("curated", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	warehouse, err := lake.NewIO(tables, rows.FolderPlace(tables).URI)
	if err != nil {
		t.Fatal(err)
	}
	catalog, err := sqlite.Open(filepath.Join(t.TempDir(), "catalog.db"), warehouse)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, close := range []func() error{catalog.Close, warehouse.Close, tables.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
	})
	w := &world{t: t, tables: tables, raw: raw, cfg: lake.DefaultConfig()}
	w.cfg.PositionDeleteRows, w.cfg.SmallTableRows, w.cfg.RewriteFraction = 1, 0, 1
	if w.lake, err = lake.Open(t.Context(), w.cfg, lake.Deps{Catalog: catalog, IO: warehouse, Staging: staging}); err != nil {
		t.Fatal(err)
	}
	w.spark = &rowstest.Runner{T: t, Open: rows.OpenFolder, Staging: staging, Maker: plan.Maker{
		Raw: rows.FolderPlace(raw.(*local.Bucket)), Staging: rows.FolderPlace(staging.(*local.Bucket)),
		Tables: plan.Tables{Place: rows.FolderPlace(tables), Snapshot: w.lake.Snapshot},
	}}
	return w
}

// publish stages a file and publishes it.
func (w *world) publish(token uint64, key, content string, mode lake.Mode) lake.Result {
	w.t.Helper()
	job := jobstest.PutJob(w.t, w.raw, key, content)
	job.Token = token
	staged, err := w.spark.Run(w.t.Context(), job)
	if err != nil {
		w.t.Fatal(err)
	}
	kind := wire.FileOf(job.File).Kind
	r, err := w.lake.Publish(w.t.Context(), lake.Request{Spec: job.Table, Token: token, Mode: mode, Generation: 1, Parts: []lake.Part{{
		FileID: dms.FileID(job.File.GetFileId()), Kind: kind, ManifestKey: staged.GetManifestKey(), ManifestSHA256: staged.GetManifestSha256(),
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

const (
	loadKey   = "dms/rms/reports/LOAD00000001.csv"
	changeKey = "dms/rms/reports/20240115-080000000.csv"
	changes   = "U,2024-01-15 08:00:00,3,SHUT\nD,2024-01-15 08:00:01,5,\nI,2024-01-15 08:00:02,50,NEW\n"
)

func load() string {
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, "2024-01-15 07:00:00,%d,NEW\n", i)
	}
	return b.String()
}

// call runs the program on a plan and what was staged.
func (w *world) call(p plan.Plan, parts rows.FileParts, args ...string) (rows.Found, string) {
	w.t.Helper()
	var in, out, fault bytes.Buffer
	for _, v := range []any{p, parts} {
		document, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		in.Write(rowstest.WithLength(document))
	}
	status := positions.Program{Open: rows.OpenFolder, Config: w.cfg, In: &in, Out: &out, Err: &fault}.Run(w.t.Context(), args)
	if (status == 0) != (fault.Len() == 0) {
		w.t.Errorf("%v ended with status %d and says %q", args, status, fault.String())
	}
	var found rows.Found
	if status == 0 {
		if err := json.Unmarshal(out.Bytes(), &found); err != nil {
			w.t.Fatal(err)
		}
	}
	return found, fault.String()
}

func (w *world) search(shares int) func(plan.Plan, *rows.FileParts) {
	return func(p plan.Plan, parts *rows.FileParts) {
		for n := range shares {
			found, fault := w.call(p, *parts, "0", strconv.Itoa(n), strconv.Itoa(shares))
			if fault != "" {
				w.t.Fatal(fault)
			}
			parts.Found = append(parts.Found, found)
		}
	}
}

// TestFoundRowsReachTheTable: what the program finds, in one share or in more than
// there are files, is what the lake needs to publish.
func TestFoundRowsReachTheTable(t *testing.T) {
	for _, shares := range []int{1, 3} {
		w := newWorld(t)
		w.spark.Search = w.search(shares)
		if r := w.publish(1, loadKey, load(), lake.Replace); r.Named || r.TableRows != 10 {
			t.Errorf("the load: %+v", r)
		}
		if r := w.publish(2, changeKey, changes, lake.Merge); !r.Named || r.Strategy != lake.StrategyRowDelta || r.TableRows != 10 {
			t.Errorf("%d shares: the changes: %+v", shares, r)
		}
	}
}

// TestSearchThatIsNotWhole: where the snapshot is gone, or nobody searched, the lake
// searches; a share that is missing, or there twice, seals nothing.
func TestSearchThatIsNotWhole(t *testing.T) {
	w := newWorld(t)
	w.publish(1, loadKey, load(), lake.Replace)
	w.spark.Search = func(p plan.Plan, parts *rows.FileParts) {
		p.Snapshot.Files[0].Path += ".gone"
		w.search(1)(p, parts)
		if !parts.Found[0].Stale {
			t.Errorf("a snapshot that is gone gives %+v", parts.Found)
		}
		for name, found := range map[string][]rows.Found{
			"missing": {{Share: 0, Of: 2}}, "twice": {{Share: 0, Of: 2}, {Share: 0, Of: 2}}, "beyond": {{Share: 1, Of: 1}},
		} {
			broken := *parts
			broken.Found = found
			document, err := json.Marshal([]rows.FileParts{broken})
			if err != nil {
				t.Fatal(err)
			}
			if _, fault := w.spark.Call(t.Context(), p, document, "seal"); !strings.Contains(fault, "does not make a whole") {
				t.Errorf("%s: sealing says %q", name, fault)
			}
		}
	}
	if r := w.publish(2, changeKey, changes, lake.Merge); r.Named || r.TableRows != 10 {
		t.Errorf("without the snapshot: %+v", r)
	}
	w.spark.Search = nil
	if r := w.publish(3, strings.Replace(changeKey, "08", "09", 1), strings.ReplaceAll(changes, " 08", " 09"), lake.Merge); r.Named || r.TableRows != 10 {
		t.Errorf("nobody searched: %+v", r)
	}
}

// TestFaultsOfTheCaller: each is told.
func TestFaultsOfTheCaller(t *testing.T) {
	w := newWorld(t)
	job := jobstest.PutJob(t, w.raw, changeKey, changes)
	p := w.spark.Plan(job)
	w.publish(1, loadKey, load(), lake.Replace)
	against, err := w.spark.Maker.Against(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for says, call := range map[string]struct {
		plan plan.Plan
		args []string
	}{
		"name the number":          {against, []string{"0", "0"}},
		"is no number":             {against, []string{"0", "-1", "1"}},
		"the plan has 1":           {against, []string{"1", "0", "1"}},
		"names no snapshot":        {p, []string{"0", "0", "1"}},
		"nothing was staged of it": {against, []string{"0", "0", "1"}},
	} {
		if _, fault := w.call(call.plan, rows.FileParts{}, call.args...); !strings.Contains(fault, says) {
			t.Errorf("%v says %q, expected %q", call.args, fault, says)
		}
	}
}

// TestPlanAgainstASnapshot: only a plan of changes of a table with a key names one.
func TestPlanAgainstASnapshot(t *testing.T) {
	w := newWorld(t)
	w.publish(1, loadKey, load(), lake.Replace)
	job := jobstest.PutJob(t, w.raw, changeKey, changes)
	keyless, loading := job, job
	keyless.Table.PrimaryKey = nil
	file := wire.FileOf(job.File)
	file.Kind = dms.KindLoad
	loading.File = wire.FileRef(file)
	for name, tt := range map[string]struct {
		plan  plan.Plan
		named bool
	}{
		"changes":       {w.spark.Plan(job), true},
		"a load":        {w.spark.Plan(loading), false},
		"without a key": {w.spark.Plan(keyless), false},
	} {
		p, err := w.spark.Maker.Against(t.Context(), tt.plan)
		if err != nil || (p.Snapshot != nil) != tt.named || (p.Tables.URI != "") != tt.named {
			t.Errorf("%s: %+v, %v", name, p.Snapshot, err)
		}
		document, err := p.Document()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := plan.Decode(document); err != nil || (again.Snapshot != nil) != tt.named {
			t.Errorf("%s: read again: %+v, %v", name, again.Snapshot, err)
		}
	}
}
