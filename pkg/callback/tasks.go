package callback

import (
	"context"
	"errors"
)

// ErrGone: nobody waits under this token any more, or never did: the task was
// answered, ran out of time or was stopped. It is final.
var ErrGone = errors.New("no task waits under this token")

// What a failure may say at most, in characters; what is longer is cut.
const (
	MaxCode  = 256
	MaxCause = 32768
)

// Tasks answers tasks that wait. Answers may be repeated: one is taken, the others are
// ErrGone, wherever they come from. Many goroutines and processes may use it.
type Tasks interface {
	// Succeed ends the task with an output, which is JSON.
	Succeed(ctx context.Context, token string, output []byte) error
	// Fail ends the task with the code of an error and what is wrong, for a person.
	Fail(ctx context.Context, token, code, cause string) error
	// Beat keeps the task waiting.
	Beat(ctx context.Context, token string) error
}
