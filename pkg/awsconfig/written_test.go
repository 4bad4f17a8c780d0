package awsconfig

import (
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

type clientFunc func(*http.Request) (*http.Response, error)

func (f clientFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

// TestWritten: an answer that comes before the request is sent is given only when
// it is, or after the timeout where it never is.
func TestWritten(t *testing.T) {
	for name, c := range map[string]struct {
		sentAfter time.Duration // 0: never
		want      time.Duration
	}{
		"sent later": {30 * time.Millisecond, 30 * time.Millisecond},
		"never sent": {0, writtenTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := written{clientFunc(func(r *http.Request) (*http.Response, error) {
					if c.sentAfter > 0 {
						trace := httptrace.ContextClientTrace(r.Context())
						time.AfterFunc(c.sentAfter, func() { trace.WroteRequest(httptrace.WroteRequestInfo{}) })
					}
					return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
				})}
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://aws.example/", strings.NewReader("x"))
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				resp, err := client.Do(r)
				if err != nil || resp.Body.Close() != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != c.want {
					t.Errorf("it took %v, expected %v", took, c.want)
				}
			})
		})
	}
}
