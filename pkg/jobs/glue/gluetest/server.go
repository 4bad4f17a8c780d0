package gluetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
)

// Script is what a job runs: nil ends SUCCEEDED; an error ends FAILED, with its
// text as the ErrorMessage; Ended ends as it says. Its context ends when the run is
// stopped or runs out of time.
type Script func(ctx context.Context, args map[string]string) error

// Ended is an error with which a Script chooses the state in which its run ends.
type Ended string

// Error gives the state.
func (e Ended) Error() string { return string(e) }

// Server is the stand-in. Its methods may be used by many goroutines.
type Server struct {
	http   *httptest.Server
	script Script
	ctx    context.Context
	wait   sync.WaitGroup

	mu     sync.Mutex
	jobs   map[string]int // by name: how many runs may be alive at once, 0 for any number
	runs   []*jobRun      // oldest first
	faults map[string][]Fault
	calls  map[string]int
	minute time.Duration
}

// jobRun is one run, in the form in which GetJobRun tells it.
type jobRun struct {
	ID          string            `json:"Id"`
	Attempt     int               `json:"Attempt"`
	JobName     string            `json:"JobName"`
	Arguments   map[string]string `json:"Arguments"`
	State       string            `json:"JobRunState"`
	Started     float64           `json:"StartedOn"`
	Completed   float64           `json:"CompletedOn,omitempty"`
	Error       string            `json:"ErrorMessage,omitempty"`
	Execution   int               `json:"ExecutionTime"`
	Timeout     int               `json:"Timeout"`
	MaxCapacity float64           `json:"MaxCapacity"`
	DPUSeconds  *float64          `json:"DPUSeconds,omitempty"`

	hidden int  // from how many listings
	gone   bool // Glue has forgotten it
	cancel context.CancelCauseFunc
}

// New starts a stand-in with one job that runs script. It ends, with all runs, at
// the end of the test.
func New(t testing.TB, job string, script Script) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &Server{
		script: script, ctx: ctx, jobs: map[string]int{job: 0}, minute: time.Minute,
		faults: map[string][]Fault{}, calls: map[string]int{},
	}
	s.http = httptest.NewServer(s)
	t.Cleanup(func() {
		cancel()
		s.http.Close()
		s.wait.Wait()
	})
	return s
}

// Client gives a real client of Glue that talks to the stand-in.
func (s *Server) Client() *glue.Client {
	return glue.New(glue.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.http.URL), HTTPClient: s.http.Client(),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// MaxConcurrentRuns bounds the runs of a job that are alive at once; 0: any number.
func (s *Server) MaxConcurrentRuns(job string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[job] = n
}

// Minute makes the minutes of timeouts shorter.
func (s *Server) Minute(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.minute = d
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		answer(w, nil, refuse("UnknownOperationException", "a call of Glue is a POST of JSON 1.1 with its name in X-Amz-Target"))
		return
	}
	fault := s.fault(op)
	if fault.LoseCall {
		lose(w)
		return
	}
	if fault.Code != "" {
		answer(w, nil, &apiError{status: fault.status(), code: fault.Code, message: "as the test wants it"})
		return
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields() // a member that Glue does not have is a fault of the caller
	out, err := s.call(op, d)
	if fault.LoseAnswer {
		lose(w)
		return
	}
	answer(w, out, err)
}

func (s *Server) call(op string, d *json.Decoder) (any, *apiError) {
	switch op {
	case "StartJobRun":
		return with(d, s.start)
	case "GetJobRun":
		return with(d, s.get)
	case "GetJobRuns":
		return with(d, s.list)
	case "BatchStopJobRun":
		return with(d, s.stop)
	}
	return nil, refuse("UnknownOperationException", op)
}

func with[In any](d *json.Decoder, do func(In) (any, *apiError)) (any, *apiError) {
	var in In
	if err := d.Decode(&in); err != nil {
		return nil, refuse("InvalidInputException", err.Error())
	}
	return do(in)
}

// apiError is an answer that is an error.
type apiError struct {
	status        int
	code, message string
}

func refuse(code, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: code, message: message}
}

func answer(w http.ResponseWriter, out any, err *apiError) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-0000-0000-000000000000")
	status := http.StatusOK
	if err != nil {
		status, out = err.status, map[string]string{"__type": err.code, "Message": err.message}
	}
	data, fault := json.Marshal(out)
	if fault != nil {
		panic(fmt.Sprintf("gluetest: encode an answer: %v", fault))
	}
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		return // the caller has gone
	}
}

// lose closes the connection without an answer.
func lose(http.ResponseWriter) { panic(http.ErrAbortHandler) }

// Runs gives the arguments of all runs, oldest first, forgotten ones too.
func (s *Server) Runs() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []map[string]string
	for _, r := range s.runs {
		all = append(all, r.Arguments)
	}
	return all
}

// States gives the states of all runs, oldest first.
func (s *Server) States() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.runs {
		all = append(all, r.State)
	}
	return all
}

// Calls tells how often an operation was called.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// Forget lets Glue no longer know the runs that there are.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		r.gone = true
	}
}

// Add puts old runs of a job into the list, each with the arguments given, as if
// they had ended long ago.
func (s *Server) Add(job string, ago time.Duration, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := make([]*jobRun, n)
	for i := range old {
		old[i] = &jobRun{ID: fmt.Sprintf("jr_old%d_%d", len(s.runs), i), JobName: job, State: "SUCCEEDED", Started: epoch(time.Now().Add(-ago)), Arguments: map[string]string{}}
	}
	s.runs = slices.Concat(old, s.runs)
}

func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
