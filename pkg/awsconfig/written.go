package awsconfig

import (
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// writtenTimeout bounds the wait for a request that is answered before it is sent.
const writtenTimeout = time.Second

// written gives an answer only when its request is sent to the end. The SDK closes
// the request as soon as it has the answer; a server that is near answers while the
// transport still looks for the request's end, finds it closed, takes that for a
// failure and closes the connection, so that the answer cannot be read any more
// (https://github.com/aws/aws-sdk-go-v2/issues/2737). The SDK then asks again: of a
// call that takes messages from a queue, the first answer is lost.
type written struct{ next aws.HTTPClient }

// Do implements aws.HTTPClient.
func (c written) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.next.Do(r)
	}
	sent := make(chan struct{})
	done := sync.OnceFunc(func() { close(sent) })
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { done() }}
	resp, err := c.next.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return resp, err
	}
	timer := time.NewTimer(writtenTimeout)
	defer timer.Stop()
	select {
	case <-sent:
	case <-timer.C:
	case <-r.Context().Done():
	}
	return resp, nil
}
