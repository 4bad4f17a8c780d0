package awstest

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Wire stands between a client and AWS. It may answer for it, lose answers, and
// remembers what was sent. Many goroutines may use it.
type Wire struct {
	next   aws.HTTPClient
	mu     sync.Mutex
	before func(*http.Request) (*http.Response, error)
	after  func(*http.Request, *http.Response) (*http.Response, error)
	sent   []*http.Request
}

// NewWire puts a wire into cfg.
func NewWire(cfg *aws.Config) *Wire {
	w := &Wire{next: cfg.HTTPClient}
	cfg.HTTPClient = w
	return w
}

// Do implements aws.HTTPClient.
func (w *Wire) Do(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent = append(w.sent, r)
	before, after := w.before, w.after
	w.mu.Unlock()
	if before != nil {
		if resp, err := before(r); resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := w.next.Do(r)
	if err == nil && after != nil {
		return after(r, resp)
	}
	return resp, err
}

// Set replaces what the wire does and forgets what was sent. before answers a
// request by itself or gives nil; after changes an answer; each may be nil.
func (w *Wire) Set(before func(*http.Request) (*http.Response, error), after func(*http.Request, *http.Response) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after, w.sent = before, after, nil
}

// Sent lists the requests since Set.
func (w *Wire) Sent() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*http.Request(nil), w.sent...)
}

// Count counts those that match.
func (w *Wire) Count(match func(*http.Request) bool) int {
	n := 0
	for _, r := range w.Sent() {
		if match(r) {
			n++
		}
	}
	return n
}

// Method matches requests of one method.
func Method(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method }
}

// Target matches calls of one operation of a service that speaks JSON, such as
// "DynamoDB_20120810.TransactWriteItems".
func Target(target string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Header.Get("X-Amz-Target") == target }
}

// Answer makes the answer to a request.
func Answer(r *http.Request, status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Request: r, Header: http.Header{"Content-Type": {contentType}},
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

// LoseOnce is Set with a wire that loses the answer to the first request that
// matches: AWS has done what was asked, and nobody hears of it.
func (w *Wire) LoseOnce(match func(*http.Request) bool) {
	var once sync.Once
	w.Set(nil, func(r *http.Request, resp *http.Response) (*http.Response, error) {
		var err error
		if match(r) {
			once.Do(func() { err = lostError{errors.Join(errors.New("connection reset"), resp.Body.Close())} })
		}
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

// lostError looks to the SDK like a connection that broke.
type lostError struct{ error }

func (lostError) Timeout() bool   { return true }
func (lostError) Temporary() bool { return true }
