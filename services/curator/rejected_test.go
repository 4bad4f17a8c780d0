package curator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// withRejects is a table whose bad rows are set aside one by one.
func withRejects(showValues bool) registry.Table {
	op := "Op"
	return registry.Table{
		ID: reports, Version: 1, OnBadRow: registry.OnBadRowQuarantine, PrimaryKey: []string{"id"},
		Reports: registry.Reports{ShowValues: showValues},
		DMS:     registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: &op},
		Columns: []registry.Column{{ID: 1, Name: "id", Type: registry.Type{Kind: registry.Long}},
			{ID: 2, Name: "fee", Type: registry.Type{Kind: registry.Decimal, Precision: 8, Scale: 2}}},
		Provenance: registry.Provenance{File: 3, Row: 4, Position: 5, Next: 6},
	}
}

// stage transforms a raw file under token 4 and gives the request to publish it.
func (b *bench) stage(content string) *blotterv1.PublishRequested {
	b.t.Helper()
	ref := b.put(content)
	ref.Order = "T202403040600000000/20240304060000000000000/" + ref.GetFileId()
	cfg := transform.DefaultConfig()
	cfg.ScratchDir = b.t.TempDir()
	file := wire.FileOf(ref)
	r, err := transform.Run(b.t.Context(), cfg, transform.Deps{Raw: b.raw, Staging: b.staging}, transform.Job{Table: b.spec, File: file, Token: 4})
	if err != nil {
		b.t.Fatal(err)
	}
	b.lake.result = lake.Result{Token: 4, SnapshotID: 1, Strategy: "append", Files: []lake.FileCount{{FileID: file.ID, Counts: r.Manifest.Counts, Staged: 4}}}
	return &blotterv1.PublishRequested{Token: 4, SpecVersion: 1, Mode: blotterv1.PublishMode_PUBLISH_MODE_MERGE,
		Parts: []*blotterv1.StagedPart{{File: ref, Staged: r.Staged()}}}
}

const twoBadRows = "I,1,10.00\nI,2,secret\nI,x,3\n"

func TestRejectedRowsAreKeptAndTold(t *testing.T) {
	for _, showValues := range []bool{false, true} {
		t.Run(fmt.Sprint("values shown ", showValues), func(t *testing.T) {
			b := newBench(t)
			b.spec = withRejects(showValues)
			request := b.stage(twoBadRows)
			said := b.hears(request)
			if got := names(said); !slices.Equal(got, []string{"RowsRejected", "FilesPublished"}) {
				t.Fatalf("it says %v", got)
			}
			e := said[0].Event.(*blotterv1.RowsRejected)
			if e.GetRows() != 2 || e.GetFileId() != request.GetParts()[0].GetFile().GetFileId() || said[0].Envelope.GetCorrelation() != e.GetFileId() {
				t.Errorf("the event is %v", e)
			}
			if c := said[1].Event.(*blotterv1.FilesPublished).GetFiles()[0].GetCounts(); c.GetRejected() != 2 || c.GetRowsRead() != 3 {
				t.Errorf("the counts are %v", c)
			}
			if strings.Contains(said[0].Envelope.String()+said[1].Envelope.String(), "secret") {
				t.Error("a value stands in an event")
			}
			text := b.read(e.GetReportKey())
			var report RejectedReport
			if err := json.Unmarshal([]byte(text), &report); err != nil {
				t.Fatal(err)
			}
			if report.Key != rawKey || report.Rows != 2 || len(report.Ways) != 2 || report.Ways[0].FirstRow != 2 || len(report.See) != 2 {
				t.Errorf("the report is not complete:\n%s", text)
			}
			if hint := report.Ways[0].Hint; !strings.Contains(hint, "blotter rejected replay") || strings.Contains(hint, "retry") || strings.Contains(hint, "skip") {
				t.Errorf("the hint of a row whose file is published is %q", hint)
			}
			if strings.Contains(text, "secret") != showValues {
				t.Errorf("values are shown: %t\n%s", !showValues, text)
			}
			r, err := transform.OpenRejected(t.Context(), b.failed, e.GetRejectedKey())
			if err != nil {
				t.Fatal(err)
			}
			if r.Count() != 2 {
				t.Errorf("%d rows lie in the failed bucket", r.Count())
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func names(records []eventlog.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, eventlog.EventName(r.Envelope))
	}
	return out
}

// dyingBucket fails the n-th effect, and all after it until it is let live.
type dyingBucket struct {
	objects.Bucket
	left  *atomic.Int64
	stops context.CancelFunc
}

var errDied = errors.New("the process has died")

func (d dyingBucket) dies() bool {
	if d.left.Add(-1) < 0 {
		d.stops()
		return true
	}
	return false
}

func (d dyingBucket) Copy(ctx context.Context, src objects.Bucket, key string, v objects.Version, to string) (objects.Info, error) {
	if d.dies() {
		return objects.Info{}, errDied
	}
	info, err := d.Bucket.Copy(ctx, src, key, v, to)
	if d.dies() {
		return objects.Info{}, errDied
	}
	return info, err
}

func (d dyingBucket) Create(ctx context.Context, key string) (objects.Writer, error) {
	if d.dies() {
		return nil, errDied
	}
	return d.Bucket.Create(ctx, key)
}

// TestRejectedRowsSurviveACrash: wherever the process dies, the next one says
// all there is to say, once; and so it does when a fence comes in between, or the
// file is published again with a replacement.
func TestRejectedRowsSurviveACrash(t *testing.T) {
	for n := range 4 {
		t.Run(fmt.Sprint("after ", n, " effects"), func(t *testing.T) {
			b := newBench(t)
			b.spec = withRejects(false)
			request := b.stage(twoBadRows)
			ctx, stop := context.WithCancel(t.Context())
			left := &atomic.Int64{}
			left.Store(int64(n))
			s := New(Deps{Log: b.log, Lake: b.lake, Specs: oneSpec{b.spec}, Raw: b.raw, Staging: b.staging,
				Failed: dyingBucket{b.failed, left, stop}, Now: time.Now})
			if _, err := s.publish(ctx, reports, request); (err != nil) != (n < 3) {
				t.Fatalf("publish gives %v", err)
			}
			stop()
			said := b.hears(request, &blotterv1.FenceRequested{Token: 4, Reason: "deadline"}, again(request))
			if got := names(said); !slices.Equal(got, []string{"RowsRejected", "FilesPublished", "FilesPublished"}) {
				t.Fatalf("it says %v", got)
			}
			b.flaky.Log, _ = eventlogtest.Open(t, b.url) // another process: it remembers nothing
			if again := b.hears(); len(again) != len(said) {
				t.Errorf("it says %v in all", names(again))
			}
		})
	}
}

// again asks for a replacement that folds the file in, under a later token.
func again(e *blotterv1.PublishRequested) proto.Message {
	later := proto.CloneOf(e)
	later.Token, later.Mode = 9, blotterv1.PublishMode_PUBLISH_MODE_REPLACE
	return later
}

// TestAQuarantineShowsTheValue in its report alone, where that is asked for.
func TestAQuarantineShowsTheValue(t *testing.T) {
	for _, showValues := range []bool{false, true} {
		b := newBench(t)
		b.spec = withRejects(showValues)
		b.spec.OnBadRow = registry.OnBadRowFail
		ref := b.put("I,1,secret\n")
		ref.Order = "T202403040600000000/20240304060000000000000/" + ref.GetFileId()
		_, err := transform.Run(t.Context(), transform.DefaultConfig(), transform.Deps{Raw: b.raw, Staging: b.staging},
			transform.Job{Table: b.spec, File: wire.FileOf(ref), Token: 4})
		var failure *transform.Failure
		if !errors.As(err, &failure) {
			t.Fatalf("the transform gives %v", err)
		}
		said := b.hears(&blotterv1.TablePaused{Reason: "failure", File: ref, Failure: failure.Proto()})
		e := said[0].Event.(*blotterv1.FileQuarantined)
		if strings.Contains(said[0].Envelope.String(), "secret") {
			t.Error("a value stands in the event")
		}
		if report := b.read(e.GetReportKey()); strings.Contains(report, "secret") != showValues {
			t.Errorf("values are shown: %t\n%s", !showValues, report)
		}
	}
}

// TestMendedRowsThatFailAreLeftWhereTheyLie: the report names the file that they
// are of, and how they are mended again.
func TestMendedRowsThatFailAreLeftWhereTheyLie(t *testing.T) {
	b := newBench(t)
	b.spec = withRejects(false)
	const key = "rms/reports/abc/rejected-4/mended-1.jsonl"
	w, err := b.failed.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "{}\n"); err != nil {
		t.Fatal(err)
	}
	info, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := dms.Object{Bucket: "failed", Key: key, ETag: info.ETag, Size: info.Size}
	m := dms.Mending{FileID: "abc", Kind: dms.KindLoad, Order: "L1", Token: 4}
	ref := wire.FileRef(dms.File{ID: dms.NewFileID(o, dms.KindChange), Object: o, Kind: dms.KindChange, Order: dms.MendedOrder("L1", "m"), Mending: m})
	said := b.hears(paused(ref))
	e := said[0].Event.(*blotterv1.FileQuarantined)
	if len(said) != 1 || e.GetObjectKey() != key {
		t.Errorf("it says %v", said)
	}
	var report Report
	if err := json.Unmarshal([]byte(b.read(e.GetReportKey())), &report); err != nil {
		t.Fatal(err)
	}
	if report.Mending == nil || *report.Mending != m || report.Copy != key || report.CopyError != "" ||
		len(report.Resume) != 3 || !strings.Contains(report.Resume[2], "blotter rejected export 'rms.reports' --file abc") {
		t.Errorf("the report is %+v", report)
	}
}
