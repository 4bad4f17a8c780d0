package gluedispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/eventlog/eventlogtest"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var reports = dms.TableID{DB: "rms", Table: "reports"}

// onceAway fails the first run, as a job that was not started.
type onceAway struct{ runs int }

func (*onceAway) Name() string { return "fake" }

func (r *onceAway) Run(_ context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	if r.runs++; r.runs == 1 {
		return nil, errors.New("too many jobs run at once")
	}
	return &blotterv1.StagedFile{FileId: job.File.GetFileId(), Token: job.Token}, nil
}

// machineAway cannot run anything for some runs.
type machineAway struct{ runs int }

func (*machineAway) Name() string { return "fake" }

func (r *machineAway) Run(_ context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	if r.runs++; r.runs <= 2*int(config().InProcess.Attempts) {
		return nil, fmt.Errorf("start: %w", jobs.ErrMachine)
	}
	return &blotterv1.StagedFile{FileId: job.File.GetFileId(), Token: job.Token}, nil
}

// TestAFaultOfTheMachineIsNoFiles: the file is tried again, however often it takes,
// until the deadline of its grant.
func TestAFaultOfTheMachineIsNoFiles(t *testing.T) {
	s := newSite(t, nil)
	s.grant(t, 3)
	l, _ := eventlogtest.Open(t, s.url)
	service, err := New(config(), Deps{
		Log: l, Runner: &machineAway{}, Specs: noSpecs(""), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventlogtest.Run(t, service.Run)
	s.said(t, "TransformStarted", "FileTransformed")
}

// noSpecs gives a registration whose Glue job has this name.
type noSpecs string

func (s noSpecs) Spec(context.Context, dms.TableID, uint64) (registry.Table, error) {
	return registry.Table{ID: reports, Job: registry.Job{Glue: string(s)}}, nil
}

func config() Config {
	d := jobs.DispatchConfig{Parallel: 1, Attempts: 3, Backoff: time.Millisecond}
	return Config{InProcess: d, Glue: d}
}

// TestItsOwnGrantsAreRunOnce: those of the tables with flag G, without a job in process.
func TestItsOwnGrantsAreRunOnce(t *testing.T) {
	url := eventlogtest.Server(t)
	log, _ := eventlogtest.Open(t, url)
	for token, engine := range []blotterv1.Engine{blotterv1.Engine_ENGINE_LAMBDA, blotterv1.Engine_ENGINE_GLUE} {
		_, err := log.PublishOnce(t.Context(), eventlog.Event{
			Table: reports, Service: "lock-manager", ID: eventlog.ID("lock-manager", reports, "test", engine.String()),
			Time: time.Now(), Message: &blotterv1.LockGranted{
				Token: uint64(token + 1), Engine: engine, Transform: true,
				Deadline: timestamppb.New(time.Now().Add(time.Hour)),
				Files:    []*blotterv1.FileRef{{FileId: strings.Repeat("a", 32)}},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	runner := &onceAway{}
	for range 2 {
		l, _ := eventlogtest.Open(t, url)
		s, err := New(config(), Deps{
			Log: l, Runner: runner, Specs: noSpecs(""), Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		stop := eventlogtest.Run(t, s.Run)
		eventlogtest.Idle(t, log, ServiceName)
		stop()
	}
	filter := eventlog.Filter{Table: reports, Service: ServiceName}
	if got := eventlogtest.Names(t, log, filter); !slices.Equal(got, []string{"TransformStarted", "FileTransformed"}) {
		t.Errorf("it says %v", got)
	}
	if runner.runs != 2 {
		t.Errorf("%d runs, expected 2", runner.runs)
	}
}
