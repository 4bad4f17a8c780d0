package gluetest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest/jsonserver"
)

// Script is what a job runs: nil ends SUCCEEDED; an error ends FAILED, with its
// text as the ErrorMessage; Ended ends as it says. Its context ends when the run is
// stopped or runs out of time.
type Script func(ctx context.Context, args map[string]string) error

// Ended is an error with which a Script chooses the state in which its run ends.
type Ended string

// Error gives the state.
func (e Ended) Error() string { return string(e) }

// Fault is how one call goes wrong.
type Fault = jsonserver.Fault

// Server is the stand-in. Its methods may be used by many goroutines.
type Server struct {
	*jsonserver.Server

	http   *httptest.Server
	script Script
	ctx    context.Context
	wait   sync.WaitGroup

	mu     sync.Mutex
	jobs   map[string]int // by name: how many runs may be alive at once, 0 for any number
	runs   []*jobRun      // oldest first
	hide   []int          // of the runs that are started next
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
	}
	s.Server = jsonserver.New("AWSGlue", map[string]jsonserver.Operation{
		"StartJobRun":     jsonserver.Op(s.start),
		"GetJobRun":       jsonserver.Op(s.get),
		"GetJobRuns":      jsonserver.Op(s.list),
		"BatchStopJobRun": jsonserver.Op(s.stop),
	})
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

// Hide keeps each of the next runs that are started out of so many listings; 0: of none.
func (s *Server) Hide(listings ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hide = append(s.hide, listings...)
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
