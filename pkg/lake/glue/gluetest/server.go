package gluetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/glue"
)

// Server is the stand-in. Its methods may be used by many goroutines.
type Server struct {
	mu        sync.Mutex
	databases map[string]*database // by name
	faults    map[string][]Fault
	calls     map[string]int
}

// New gives an empty one, which is an http.Handler.
func New() *Server {
	return &Server{databases: map[string]*database{}, faults: map[string][]Fault{}, calls: map[string]int{}}
}

// Serve has the stand-in answer at an address until the test ends.
func (s *Server) Serve(t testing.TB) (url string) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

// Client gives a real client of Glue that talks to the stand-in until the test ends, and
// tries each call three times at most, without much waiting between.
func (s *Server) Client(t testing.TB) *glue.Client {
	t.Helper()
	return glue.New(glue.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Serve(t)),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 3, 10*time.Millisecond }),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// Fault is how one call goes wrong.
type Fault struct {
	// Code refuses the call with this error, and Status (0: 400).
	Code   string
	Status int
	// LoseCall closes the connection before the call is carried out, LoseAnswer
	// after it.
	LoseCall, LoseAnswer bool
	// Then is run before the fault shows.
	Then func()
}

// Inject has the next calls of an operation go wrong, one after the other; a zero
// Fault lets one pass.
func (s *Server) Inject(op string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = append(s.faults[op], faults...)
}

// Calls tells how often an operation was called.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// fault counts a call and takes its fault.
func (s *Server) fault(op string) (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	if list := s.faults[op]; len(list) > 0 {
		f, s.faults[op] = list[0], list[1:]
	}
	return f
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		answer(w, nil, refuse("UnknownOperationException", "a call of Glue is a POST of JSON 1.1 with its name in X-Amz-Target"))
		return
	}
	fault := s.fault(op)
	if !fault.LoseAnswer && fault.Then != nil {
		fault.Then()
	}
	switch {
	case fault.LoseCall:
		panic(http.ErrAbortHandler)
	case fault.Code != "":
		e := refuse(fault.Code, "as the test wants it")
		if fault.Status != 0 {
			e.status = fault.Status
		}
		answer(w, nil, e)
		return
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields() // a member that Glue does not have is a fault of the caller
	out, err := s.call(op, d)
	if fault.LoseAnswer {
		if fault.Then != nil {
			fault.Then()
		}
		panic(http.ErrAbortHandler)
	}
	answer(w, out, err)
}

func (s *Server) call(op string, d *json.Decoder) (any, *apiError) {
	switch op {
	case "GetDatabase":
		return with(s, d, s.getDatabase)
	case "GetDatabases":
		return with(s, d, s.getDatabases)
	case "CreateDatabase":
		return with(s, d, s.createDatabase)
	case "GetTable":
		return with(s, d, s.getTable)
	case "GetTables":
		return with(s, d, s.getTables)
	case "CreateTable":
		return with(s, d, s.createTable)
	case "UpdateTable":
		return with(s, d, s.updateTable)
	case "DeleteTable":
		return with(s, d, s.deleteTable)
	}
	return nil, refuse("UnknownOperationException", op)
}

// with carries out one call at a time.
func with[In any](s *Server, d *json.Decoder, do func(In) (any, *apiError)) (any, *apiError) {
	var in In
	if err := d.Decode(&in); err != nil {
		return nil, refuse("InvalidInputException", err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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
	_, _ = w.Write(data) // the caller may have gone
}
