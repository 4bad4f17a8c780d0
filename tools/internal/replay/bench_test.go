package replay

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// benchTables is over how many tables the events of a benchmark are spread.
const benchTables = 1000

// manyEvents decides what n change files of one table bring about, each taken,
// staged and published by itself, and the maintenance that falls due between them.
func manyEvents(b testing.TB, n int) []*blotterv1.Envelope {
	b.Helper()
	r := newRecorder(b)
	resume := lockmanager.Resume{Order: lockmanager.Order{ID: "go"}}
	r.step(lockmanager.Input{Command: resume})
	for i := 0; len(r.log.records) < n; i++ {
		g := r.state.Grant
		if g.Maintenance {
			r.step(lockmanager.Input{Event: &blotterv1.TableMaintained{Token: g.Token, Step: "none"}})
			continue
		}
		for _, id := range g.Files {
			r.step(lockmanager.Input{Event: &blotterv1.FileTransformed{Staged: &blotterv1.StagedFile{
				FileId: string(id), Token: g.Token, ManifestKey: "rms/reports/" + string(id) + "/manifest.json", Counts: &blotterv1.RowCounts{RowsRead: 100, Inserts: 100},
			}}})
		}
		r.step(lockmanager.Input{Event: r.change(i)})
		r.step(lockmanager.Input{Event: &blotterv1.FilesPublished{Token: g.Token, Files: []*blotterv1.PublishedFile{{FileId: string(g.Files[0])}}, TableRows: 100}})
	}
	envelopes := make([]*blotterv1.Envelope, n)
	for i := range envelopes {
		envelopes[i] = r.log.records[i].Envelope
	}
	return envelopes
}

func (r *recorder) change(i int) *blotterv1.FileClassified {
	id := fmt.Sprintf("%032x", i)
	return &blotterv1.FileClassified{File: &blotterv1.FileRef{
		FileId: id, Kind: blotterv1.FileKind_FILE_KIND_CHANGE, Order: "2" + id,
		Object: &blotterv1.ObjectRef{
			Bucket: "raw", Key: "dms/rms/reports/20240304-" + id + ".csv", Size: 1000, Etag: id + id, LastModified: timestamppb.New(time.Unix(2, 0)),
		},
	}}
}

// TestBenchmarkedLog: the state machine takes what the benchmarks have it decide.
func TestBenchmarkedLog(t *testing.T) {
	t.Parallel()
	events := manyEvents(t, 1000)
	names := map[string]bool{}
	for _, e := range events {
		names[eventlog.EventName(e)] = true
	}
	for _, want := range []string{"LockGranted", "PublishRequested", "LockReleased", "MaintenanceGranted"} {
		if !names[want] {
			t.Errorf("1,000 events without one %s", want)
		}
	}
}

// benchLog holds b.N events of lock-manager, the tables' interleaved.
func benchLog(b *testing.B, n int) *eventlog.Log {
	b.Helper()
	log, nc := eventlogtest.Open(b, eventlogtest.Server(b))
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range manyEvents(b, (n+benchTables-1)/benchTables) {
		for t := range benchTables {
			id := dms.TableID{DB: "rms", Table: fmt.Sprintf("t%d", t)}
			e.Table = id.String()
			data, err := proto.Marshal(e)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := js.PublishAsync(eventlog.EmbeddedConfig().Partitions.Subject(id, lockmanager.ServiceName, eventlog.EventName(e)), data, jetstream.WithStallWait(30*time.Second)); err != nil {
				b.Fatal(err)
			}
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
	return log
}

// BenchmarkFold folds a log of b.N events of 1,000 tables: run it with
// -benchtime 1000000x for a log of a million.
func BenchmarkFold(b *testing.B) {
	log := benchLog(b, b.N)
	b.ResetTimer()
	folds, err := Fold(b.Context(), log, eventlog.Filter{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	var n int64
	for _, t := range folds {
		if n += t.Events; len(t.Breaks) > 0 {
			b.Fatalf("%s: %v", t.State.Table, t.Breaks[0])
		}
	}
	if n < int64(b.N) {
		b.Fatalf("%d events were folded, expected %d", n, b.N)
	}
}

// BenchmarkFoldOneTable folds one of the 1,000 tables of such a log.
func BenchmarkFoldOneTable(b *testing.B) {
	const events = 1_000_000
	log := benchLog(b, events)
	for b.Loop() {
		folds, err := Fold(b.Context(), log, eventlog.Filter{Table: dms.TableID{DB: "rms", Table: "t500"}}, nil)
		if err != nil || len(folds) != 1 {
			b.Fatalf("%d tables, %v", len(folds), err)
		}
	}
}
