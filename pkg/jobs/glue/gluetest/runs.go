package gluetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest/jsonserver"
)

type startIn struct {
	JobName   string
	Arguments map[string]string
	Timeout   int
}

var errStopped = errors.New("stopped")

func (s *Server) start(in startIn) (any, *jsonserver.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bound, ok := s.jobs[in.JobName]
	if !ok {
		return nil, jsonserver.Refuse("EntityNotFoundException", "Failed to start job run due to missing metadata.")
	}
	if bound > 0 && s.alive(in.JobName) >= bound {
		return nil, jsonserver.Refuse("ConcurrentRunsExceededException", "Concurrent runs exceeded for "+in.JobName)
	}
	if in.Timeout == 0 {
		in.Timeout = 2880
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	r := &jobRun{
		ID: fmt.Sprintf("jr_%064x", len(s.runs)+1), JobName: in.JobName, Arguments: maps.Clone(in.Arguments),
		State: "STARTING", Started: epoch(time.Now()), Timeout: in.Timeout, MaxCapacity: 2, cancel: cancel,
	}
	if len(s.hide) > 0 {
		r.hidden, s.hide = s.hide[0], s.hide[1:]
	}
	s.runs = append(s.runs, r)
	limit := time.Duration(in.Timeout) * s.minute
	s.wait.Go(func() { s.execute(ctx, r, limit) })
	return map[string]string{"JobRunId": r.ID}, nil
}

func (s *Server) alive(job string) int {
	n := 0
	for _, r := range s.runs {
		if r.JobName == job && r.Completed == 0 && r.cancel != nil {
			n++
		}
	}
	return n
}

// execute runs the script and notes how the run ended.
func (s *Server) execute(ctx context.Context, r *jobRun, limit time.Duration) {
	s.set(r, "RUNNING")
	began := time.Now()
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := s.script(timed, r.Arguments)
	state, message := "SUCCEEDED", ""
	var chosen Ended
	switch {
	case errors.Is(context.Cause(ctx), errStopped):
		state = "STOPPED"
	case timed.Err() != nil && ctx.Err() == nil:
		state = "TIMEOUT"
	case errors.As(err, &chosen):
		state = string(chosen)
	case err != nil:
		state, message = "FAILED", err.Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.State, r.Error, r.Completed = state, message, epoch(time.Now())
	r.Execution = int(time.Since(began).Seconds()) + 1
}

func (s *Server) set(r *jobRun, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.State == "STARTING" {
		r.State = state
	}
}

type getIn struct{ JobName, RunID string }

func (s *Server) get(in getIn) (any, *jsonserver.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		if r.JobName == in.JobName && r.ID == in.RunID && !r.gone {
			return map[string]jobRun{"JobRun": *r}, nil
		}
	}
	return nil, jsonserver.Refuse("EntityNotFoundException", "Job Run not found")
}

type listIn struct {
	JobName    string
	MaxResults int
	NextToken  string
}

// list gives the newest runs first; a page's token is the number of runs before it.
func (s *Server) list(in listIn) (any, *jsonserver.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.jobs[in.JobName]; !ok {
		return nil, jsonserver.Refuse("EntityNotFoundException", "Entity Not Found")
	}
	if in.MaxResults < 1 || in.MaxResults > 200 {
		return nil, jsonserver.Refuse("InvalidInputException", "MaxResults must be between 1 and 200")
	}
	from := 0
	if in.NextToken != "" {
		var err error
		if from, err = strconv.Atoi(in.NextToken); err != nil {
			return nil, jsonserver.Refuse("InvalidInputException", "NextToken is none of mine")
		}
	}
	var all []jobRun
	for _, r := range slices.Backward(s.runs) {
		if r.hidden > 0 {
			r.hidden--
			continue
		}
		if r.JobName == in.JobName && !r.gone {
			all = append(all, *r)
		}
	}
	page := all[min(from, len(all)):min(from+in.MaxResults, len(all))]
	out := map[string]any{"JobRuns": page}
	if from+in.MaxResults < len(all) {
		out["NextToken"] = strconv.Itoa(from + in.MaxResults)
	}
	return out, nil
}

type stopIn struct {
	JobName   string
	JobRunIDs []string `json:"JobRunIds"`
}

type stopOut struct {
	SuccessfulSubmissions []stopped
	Errors                []stopError
}

type stopped struct {
	JobName  string
	JobRunID string `json:"JobRunId"`
}

type stopError struct {
	stopped
	ErrorDetail struct{ ErrorCode, ErrorMessage string }
}

func (s *Server) stop(in stopIn) (any, *jsonserver.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.JobRunIDs) < 1 || len(in.JobRunIDs) > 25 {
		return nil, jsonserver.Refuse("InvalidInputException", "JobRunIds must have between 1 and 25 members")
	}
	var out stopOut
	for _, id := range in.JobRunIDs {
		at := slices.IndexFunc(s.runs, func(r *jobRun) bool { return r.ID == id && r.JobName == in.JobName && !r.gone })
		name := stopped{in.JobName, id}
		if at >= 0 && (s.runs[at].State == "STARTING" || s.runs[at].State == "RUNNING") {
			s.runs[at].State = "STOPPING"
			s.runs[at].cancel(errStopped)
			out.SuccessfulSubmissions = append(out.SuccessfulSubmissions, name)
			continue
		}
		e := stopError{stopped: name}
		e.ErrorDetail.ErrorCode, e.ErrorDetail.ErrorMessage = "JobRunNotInTerminalStateException", "the run cannot be stopped"
		out.Errors = append(out.Errors, e)
	}
	return out, nil
}
