package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// archiving is a log of some events, and a bucket of S3 behind a wire.
type archiving struct {
	t      *testing.T
	log    *eventlog.Log
	wire   *awstest.Wire
	client func() *s3.Bucket // of a new name each time
	secret string
	keys   archive.Keys
}

func newArchiving(t *testing.T, way aws.Config, events int) *archiving {
	t.Helper()
	a := &archiving{t: t, wire: awstest.NewWire(&way)}
	t.Cleanup(func() { a.wire.Set(nil, nil) })
	client := s3.NewClient(way)
	a.client = func() *s3.Bucket {
		name := awstest.Name(t)
		b, err := s3.New(client, s3.Config{Bucket: name, Prefix: "log/"})
		if err = errors.Join(err, s3.CreateBucket(t.Context(), client, name, false)); err != nil {
			t.Fatal(err)
		}
		return b
	}
	a.log, _ = eventlogtest.Open(t, eventlogtest.Server(t))
	for n := range events {
		if _, err := a.log.PublishOnce(t.Context(), eventlog.Event{
			Table: reports, Service: "curator", ID: eventlog.ID("curator", reports, "held", fmt.Sprint(n)), Time: time.Unix(int64(n), 0),
			Message: &blotterv1.FileHeld{Reason: "loading"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	secret, public, err := archive.NewKey("test.example/log")
	if err == nil {
		a.keys, err = archive.ParseKeys(public)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.secret = secret
	return a
}

// write archives the log in spans of ten.
func (a *archiving) write(ctx context.Context, b objects.Bucket) error {
	a.t.Helper()
	cfg := archive.DefaultConfig()
	cfg.MaxEvents = 10
	w, err := archive.NewWriter(cfg, b, a.log, a.secret, "")
	if err != nil {
		a.t.Fatal(err)
	}
	return w.Rest(ctx, func(archive.Checkpoint) {})
}

func (a *archiving) verify(b objects.Bucket) (*archive.Report, error) {
	a.t.Helper()
	return archive.Verify{Bucket: b, Keys: a.keys, Against: a.log}.Run(a.t.Context())
}

func isPut(r *http.Request) bool { return r.Method == http.MethodPut }

func TestArchiveOnS3InProcess(t *testing.T) { archiveOnS3(t, awstest.S3InProcess(t)) }

func TestArchiveOnS3(t *testing.T) { archiveOnS3(t, awstest.Config(t)) }

// archiveOnS3: whatever request a writer dies at, before its effect or after it, and
// whatever answer is lost, the next writer ends with a whole archive; every object is put
// under the condition that it is not there.
func archiveOnS3(t *testing.T, way aws.Config) {
	a := newArchiving(t, way, 25)
	whole := a.client()
	a.wire.Set(nil, nil)
	if err := a.write(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	puts := a.wire.Count(isPut)
	if unconditional := a.wire.Count(func(r *http.Request) bool { return isPut(r) && r.Header.Get("If-None-Match") != "*" }); puts < 7 || unconditional > 0 {
		t.Errorf("%d of %d objects are put without a condition", unconditional, puts)
	}
	if r, err := a.verify(whole); err != nil || r.Size != 25 || r.Spans != 3 || r.Compared != 25 {
		t.Fatalf("%+v, %v", r, err)
	}
	for at := range puts {
		for _, late := range []bool{false, true} {
			a.dyingWriter(at, late)
		}
	}
	lost := a.client()
	var n atomic.Int64
	a.wire.Set(nil, func(r *http.Request, answer *http.Response) (*http.Response, error) {
		if isPut(r) && n.Add(1)%3 == 1 {
			_ = answer.Body.Close()
			return nil, errors.New("connection reset by peer")
		}
		return answer, nil
	})
	err := a.write(t.Context(), lost)
	a.wire.Set(nil, nil)
	if r, verifyErr := a.verify(lost); errors.Join(err, verifyErr) != nil || r.Size != 25 {
		t.Errorf("with answers that were lost: %v, %+v, %v", err, r, verifyErr)
	}
}

// dyingWriter has a writer die at one of its puts, and another one go on.
func (a *archiving) dyingWriter(at int, late bool) {
	a.t.Helper()
	b := a.client()
	ctx, die := context.WithCancel(a.t.Context())
	defer die()
	var n atomic.Int64
	dies := func(r *http.Request) bool { return isPut(r) && n.Add(1) == int64(at)+1 }
	before := func(r *http.Request) (*http.Response, error) {
		if !late && dies(r) {
			die()
			return nil, context.Canceled
		}
		return nil, nil
	}
	after := func(r *http.Request, answer *http.Response) (*http.Response, error) {
		if late && dies(r) {
			_ = answer.Body.Close()
			die()
			return nil, context.Canceled
		}
		return answer, nil
	}
	a.wire.Set(before, after)
	err := a.write(ctx, b)
	a.wire.Set(nil, nil)
	if err == nil {
		a.t.Errorf("a writer that died at put %d (late: %t) has an error", at, late)
	}
	if r, err := a.verify(b); err != nil && !errors.Is(err, archive.ErrEmpty) {
		a.t.Errorf("after a death at put %d (late: %t): %+v, %v", at, late, r, err)
	}
	if err := a.write(a.t.Context(), b); err != nil {
		a.t.Fatalf("after a death at put %d (late: %t): %v", at, late, err)
	}
	if r, err := a.verify(b); err != nil || r.Size != 25 || r.Spans != 3 || r.Unsigned != "" {
		a.t.Errorf("after a death at put %d (late: %t) it ends with %+v, %v", at, late, r, err)
	}
}

// TestTheCuratorKeepsTheArchive: a process with the role archives by itself, in a bucket of
// S3 with the key that it is given; without a key it runs all the same.
func TestTheCuratorKeepsTheArchive(t *testing.T) {
	way := awstest.S3InProcess(t)
	client, name := s3.NewClient(way), awstest.Name(t)
	if err := s3.CreateBucket(t.Context(), client, name, false); err != nil {
		t.Fatal(err)
	}
	secret, public, err := archive.NewKey("test.example/log")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Dir, cfg.Places.Audit = t.TempDir(), "s3://"+name+"/log"
	cfg.Archive.MaxAge, cfg.Archive.Interval = time.Millisecond, time.Millisecond
	for _, key := range []string{"", secret} {
		cfg.AuditKeys.Secret = key
		p, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if (p.keeper != nil) != (key != "") {
			t.Errorf("with the key %t it archives: %t", key != "", p.keeper != nil)
		}
		stop, _ := p.Start(context.WithoutCancel(t.Context()))
		seq, err := p.Log.PublishOnce(t.Context(), eventlog.Event{
			Table: reports, Service: "tester", ID: "tester/" + fmt.Sprint(key != ""), Time: time.Now(), Message: &blotterv1.FileHeld{Reason: "loading"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			archivedUpTo(t, cfg, public, seq)
		}
		if err := errors.Join(stop(), p.Close()); err != nil {
			t.Error(err)
		}
	}
}

// archivedUpTo waits until the archive proves to reach a sequence.
func archivedUpTo(t *testing.T, cfg Config, public string, seq uint64) {
	t.Helper()
	bucket, closer, err := OpenAudit(t.Context(), cfg, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closer(); err != nil {
			t.Error(err)
		}
	}()
	keys, err := archive.ParseKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Eventually(t, "the log is archived", func() bool {
		r, err := archive.Verify{Bucket: bucket, Keys: keys}.Run(t.Context())
		if err != nil && !errors.Is(err, archive.ErrEmpty) {
			t.Fatal(err)
		}
		return r.Size >= seq
	})
}
