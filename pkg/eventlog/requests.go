package eventlog

import (
	"strings"

	"github.com/nats-io/nats.go/micro"
)

// Requests has a handler see requests of people and programs alone, and none that a
// consumer delivers. Whoever may make a consumer may have it deliver events, and so
// words of its own, to any subject outside of the log, also to one that it may not
// publish to itself. What comes that way is told by the subject on which it wants to be
// acknowledged.
func Requests(handle func(micro.Request)) micro.Handler {
	return micro.HandlerFunc(func(r micro.Request) {
		if !strings.HasPrefix(r.Reply(), "$JS.") {
			handle(r)
		}
	})
}
