package eventlog

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrConflict: another writer was faster. What it decided is in the log or in
// the control state now: read again and decide again.
var ErrConflict = errors.New("the log has moved on")

// permanentError marks an error that no repetition heals.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks err as one that no repetition heals: a handler that returns it
// ends its consumer. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// IsPermanent reports whether err or one that it wraps was marked by Permanent.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
}

// Codes of a server that does not make a stream, for which the client library has no names.
const (
	codeNoReplicas  = 10074 // it is no cluster
	codeNoPeers     = 10005 // the cluster has too few servers that can take a replica
	codeNoResources = 10023
	codeNoStorage   = 10047
	codeNoLeader    = 10008 // of the cluster
)

// codeIDInProcess: a replicated stream is just taking a message of the same id,
// the client library has no name for it.
const codeIDInProcess jetstream.ErrorCode = 10158

// What the log tells at debug level of each publish that came second, and the attribute
// that holds the server's code for it, 0 if it had none: the event was there already.
const (
	ConflictMessage = "another writer was faster"
	ConflictCode    = "code"
)

// code gives the code of the server's error, 0 if it is none of the server's.
func code(err error) int {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil {
		return int(api.APIError().ErrorCode)
	}
	return 0
}

// classify gives an error of a publish its class, here and nowhere else. A wrong
// expected sequence has two codes: 10071, and 10164 on replicated streams.
func classify(err error) error {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil {
		switch api.APIError().ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant, codeIDInProcess:
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case jetstream.JSErrCodeStreamMessageExceedsMaximum:
			return Permanent(err)
		}
	}
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) {
		return Permanent(err)
	}
	return err
}
