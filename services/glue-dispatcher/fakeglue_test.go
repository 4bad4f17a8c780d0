package gluedispatcher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// fakeGlue has runs that last until they are stopped or released, and go on when
// nobody follows them.
type fakeGlue struct {
	mu      sync.Mutex
	runs    map[uint64]chan string // by token; gives the state of the end
	started int
	stops   int
	stopped jobs.FencedGrant // of the last stop
	noStop  error
	woken   []string
	quick   bool // runs end by themselves
	full    bool // there is no room: a start is asked for again and again
	asked   int  // how often that was
	// What comes of files: the code of a failure, or staged whatever the run comes to.
	bad           map[string]string
	stagedAlready map[string]bool
}

func (g *fakeGlue) Wake(run string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.woken = append(g.woken, run)
}

func (*fakeGlue) Name() string { return "glue" }

func (g *fakeGlue) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	return nil, errors.New("nobody watches")
}

func (g *fakeGlue) run(token uint64) chan string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.runs[token] == nil {
		if g.runs == nil {
			g.runs = map[uint64]chan string{}
		}
		g.started++
		g.runs[token] = make(chan string, 1)
		if g.quick {
			g.runs[token] <- "SUCCEEDED"
		}
	}
	return g.runs[token]
}

func (g *fakeGlue) count() (started, stops int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started, g.stops
}

func end(file string, token uint64, state string) jobs.RunEnd {
	return jobs.RunEnd{FileID: file, Token: token, Run: "jr_1", Attempt: 1, State: state, Execution: 90 * time.Second, DPUSeconds: 180,
		Started: time.Unix(1000, 0), Completed: time.Unix(1090, 0)}
}

func (g *fakeGlue) RunBatch(ctx context.Context, b jobs.Batch, watch jobs.Watch) ([]jobs.Outcome, error) {
	for g.noRoom() {
		if err := errors.Join(watch.Alive(ctx, b.Token), ctx.Err()); err != nil {
			return nil, err
		}
	}
	run := g.run(b.Token)
	for _, file := range b.Files {
		if err := watch.Started(ctx, file.GetFileId(), b.Token, "jr_1"); err != nil {
			return nil, err
		}
	}
	select {
	case state := <-run:
		run <- state // whoever asks later is told the same
		outcomes := make([]jobs.Outcome, len(b.Files))
		for i, file := range b.Files {
			if err := watch.Ended(ctx, end(file.GetFileId(), b.Token, state)); err != nil {
				return nil, err
			}
			switch {
			case g.bad[file.GetFileId()] != "":
				outcomes[i].Failure = &transform.Failure{Code: g.bad[file.GetFileId()], Message: "it is bad"}
			case state == "SUCCEEDED" || g.stagedAlready[file.GetFileId()]:
				outcomes[i].Staged = &blotterv1.StagedFile{FileId: file.GetFileId(), Token: b.Token}
			}
		}
		jobs.Fail(b, outcomes, &transform.Failure{Code: "glue.stopped", Message: "the run was stopped", Hint: "resume"})
		return outcomes, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *fakeGlue) noRoom() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return g.full
}

func (g *fakeGlue) lastStop() jobs.FencedGrant {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped
}

func (g *fakeGlue) Stop(ctx context.Context, grant jobs.FencedGrant, watch jobs.Watch) error {
	token := grant.Token
	g.mu.Lock()
	g.stops++
	g.stopped = grant
	run, err := g.runs[token], g.noStop
	g.mu.Unlock()
	if run == nil || err != nil {
		return err
	}
	select {
	case run <- "STOPPED":
	default:
	}
	return watch.Ended(ctx, end(aFile, token, "STOPPED"))
}
