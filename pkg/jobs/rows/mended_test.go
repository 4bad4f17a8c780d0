package rows_test

import (
	"bytes"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/jobs/rows/rowstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

// TestMendedRowsGoWithOtherFiles: in one plan, though they lie in another bucket.
func TestMendedRowsGoWithOtherFiles(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	failed, err := local.New("failed", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = failed.Close() })
	s := &rowstest.Runner{T: t, Open: rows.OpenFolder, Staging: staging, Maker: plan.Maker{
		Raw: rows.FolderPlace(raw.(*local.Bucket)), Staging: rows.FolderPlace(staging.(*local.Bucket)), Failed: rows.FolderPlace(failed),
	}}
	bad := jobstest.PutJob(t, raw, "dms/rms/reports/20240115-070100000.csv", "I,2024-01-15 07:00:30,x,NEW\n")
	bad.Table.OnBadRow = registry.OnBadRowQuarantine
	staged, err := s.Run(t.Context(), bad)
	if err != nil {
		t.Fatal(err)
	}
	m, err := transform.ReadManifest(t.Context(), staging, staged.GetManifestKey(), staged.GetManifestSha256())
	if err != nil {
		t.Fatal(err)
	}
	mended := bad
	mended.File = wire.FileRef(mend(t, staging, failed, m.Rejected[0].Key, "5"))
	plain := jobstest.PutJob(t, raw, "dms/rms/reports/20240115-070200000.csv", "I,2024-01-15 07:01:30,6,NEW\n")
	plain.Table, plain.Token, mended.Token = bad.Table, bad.Token+1, bad.Token+1
	outcomes, err := s.RunBatch(t.Context(), jobstest.Batch(plain, mended), jobs.Nobody{})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.Staged.GetCounts().GetInserts() != 1 {
			t.Errorf("file %d ended with %+v", i, o)
		}
	}
}

// mend puts the one row that was set aside into another bucket, with a number for its key.
func mend(t *testing.T, staging objects.Bucket, failed *local.Bucket, rejected, key string) dms.File {
	t.Helper()
	r, err := transform.OpenRejected(t.Context(), staging, rejected)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var content bytes.Buffer
	w, err := transform.NewMendedWriter(&content, r.Header)
	if err != nil {
		t.Fatal(err)
	}
	op, at, status := "I", "2024-01-15 07:00:30", "NEW"
	if err := w.Write(transform.MendedRow{Row: 1, Fields: []*string{&op, &at, &key, &status}}); err != nil {
		t.Fatal(err)
	}
	const name = "mended.jsonl"
	f, err := failed.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content.Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := failed.Stat(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	o := dms.Object{Bucket: failed.Name(), Key: name, ETag: info.ETag, Size: info.Size}
	id := dms.NewFileID(o, dms.KindChange)
	return dms.File{ID: id, Object: o, Kind: dms.KindChange, Order: dms.MendedOrder(r.Header.Order, id), Part: r.Header.Part, Mending: r.Header.Mending()}
}
