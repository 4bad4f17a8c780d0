package gluetest

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest/jsonserver"
)

// Server is the stand-in. Its methods may be used by many goroutines.
type Server struct {
	*jsonserver.Server

	mu        sync.Mutex
	databases map[string]*database // by name
}

// New gives an empty one, which is an http.Handler.
func New() *Server {
	s := &Server{databases: map[string]*database{}}
	s.Server = jsonserver.New("AWSGlue", map[string]jsonserver.Operation{
		"GetDatabase":    locked(s, s.getDatabase),
		"GetDatabases":   locked(s, s.getDatabases),
		"CreateDatabase": locked(s, s.createDatabase),
		"GetTable":       locked(s, s.getTable),
		"GetTables":      locked(s, s.getTables),
		"CreateTable":    locked(s, s.createTable),
		"UpdateTable":    locked(s, s.updateTable),
		"DeleteTable":    locked(s, s.deleteTable),
	})
	return s
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
type Fault = jsonserver.Fault

// locked makes an operation of a function that has the stand-in to itself.
func locked[In any](s *Server, do func(In) (any, *jsonserver.Error)) jsonserver.Operation {
	return jsonserver.Op(func(in In) (any, *jsonserver.Error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return do(in)
	})
}
