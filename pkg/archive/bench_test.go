package archive

import (
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// benchLog is a log of n events on a server.
func benchLog(b *testing.B, n int) *eventlog.Log {
	b.Helper()
	log, nc := eventlogtest.Open(b, eventlogtest.Server(b))
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	for seq := range uint64(n) { //nolint:gosec // not negative
		e := event(b, seq+1)
		msg := &nats.Msg{Subject: e.Subject, Data: e.Data, Header: nats.Header{"Blotter-Event": e.Header["Blotter-Event"]}}
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(30*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
	return log
}

// BenchmarkArchive archives a log of b.N events into a folder, verifies the archive alone
// and against the log, and proves one event: run it with
// -benchtime 1000000x for a log of a million.
func BenchmarkArchive(b *testing.B) {
	log, dir := benchLog(b, b.N), b.TempDir()
	bucket, err := local.New("audit", dir)
	if err != nil {
		b.Fatal(err)
	}
	secret, keys := testKey(b)
	b.ResetTimer()
	took := func(what func() error) float64 {
		b.Helper()
		began := time.Now()
		if err := what(); err != nil {
			b.Fatal(err)
		}
		return time.Since(began).Seconds()
	}
	events := float64(b.N)
	b.ReportMetric(events/took(func() error {
		return newTestWriter(b, DefaultConfig(), bucket, log, secret).Rest(b.Context(), func(Checkpoint) {})
	}), "archived/s")
	check := func(v Verify) func() error {
		v.Bucket, v.Keys = bucket, keys
		return func() error {
			r, err := v.Run(b.Context())
			if err == nil && r.Events != uint64(b.N) { //nolint:gosec // not negative
				b.Fatalf("%d events are proven", r.Events)
			}
			return err
		}
	}
	b.ReportMetric(events/took(check(Verify{})), "verified/s")
	b.ReportMetric(events/took(check(Verify{Against: log})), "compared/s")
	b.ReportMetric(took(func() error {
		_, _, err := Prove(b.Context(), bucket, keys, "one", func(r eventlog.Record) bool { return r.Seq == uint64(b.N) }) //nolint:gosec // not negative
		return err
	}), "s/proof")
	b.ReportMetric(float64(folderSize(b, dir))/events, "B/event")
}

func folderSize(b *testing.B, dir string) (n int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}
