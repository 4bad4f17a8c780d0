package curator

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// deniedBucket lets nobody in.
type deniedBucket struct{ objects.Bucket }

var errDenied = errors.New("access denied")

func (deniedBucket) Stat(context.Context, string) (objects.Info, error) {
	return objects.Info{}, errDenied
}

func (deniedBucket) Create(context.Context, string) (objects.Writer, error) { return nil, errDenied }

func (deniedBucket) Copy(context.Context, objects.Bucket, string, objects.Version, string) (objects.Info, error) {
	return objects.Info{}, errDenied
}

func (deniedBucket) List(context.Context, string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) { yield(objects.Info{}, errDenied) }
}

// denied is the service of a bench to which the failed bucket is closed.
func (b *bench) denied() *Service {
	return New(Deps{Lake: b.lake, Specs: oneSpec{b.spec}, Raw: b.raw, Staging: b.staging,
		Failed: deniedBucket{b.failed}, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
}

// TestAClosedFailedBucketBlocksNoTable: a publication that needs it is answered
// within the time that any is tried, nothing is published, and a fence needs it
// not at all.
func TestAClosedFailedBucketBlocksNoTable(t *testing.T) {
	b := newBench(t)
	b.spec = withRejects(false)
	request := b.stage(twoBadRows)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		answers, err := b.denied().publish(t.Context(), reports, request)
		if took := time.Since(began); err != nil || took > maxTrying {
			t.Fatalf("publish gives %v after %s", err, took)
		}
		if len(answers) != 1 || b.lake.calls.Load() != 0 {
			t.Fatalf("%d answers, %d calls of the lake", len(answers), b.lake.calls.Load())
		}
		e, ok := answers[0].event.(*blotterv1.PublishFailed)
		if !ok || e.GetToken() != 4 || e.GetFailure().GetCode() != "publish.unavailable" || e.GetFailure().GetHint() == "" {
			t.Errorf("it says %v", answers[0].event)
		}
		began = time.Now()
		answers, err = b.denied().fence(t.Context(), reports, &blotterv1.FenceRequested{Token: 4})
		if err != nil || len(answers) != 2 || answers[0].name != "rows-rejected" || time.Since(began) > 0 {
			t.Errorf("a fence of what was published gives %v, %v after %s", answers, err, time.Since(began))
		}
	})
}

// TestAQuarantineIntoAClosedBucketIsTold with what is missing.
func TestAQuarantineIntoAClosedBucketIsTold(t *testing.T) {
	b := newBench(t)
	file := b.put("I,x\n")
	synctest.Test(t, func(t *testing.T) {
		answers, err := b.denied().quarantine(t.Context(), reports, time.Now(), paused(file))
		if err != nil || len(answers) != 1 {
			t.Fatalf("quarantine gives %d answers and %v", len(answers), err)
		}
		e := answers[0].event.(*blotterv1.FileQuarantined)
		if e.GetReportError() == "" || e.GetReportKey() != "" || e.GetObjectKey() != "" || e.GetFailure().GetCode() != "value.type" {
			t.Errorf("it says %v", e)
		}
	})
}
