package eventlog

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// DeniedError is what a NATS server has refused a user. It is nats.ErrPermissionViolation.
type DeniedError struct {
	User    string // its public key or name; empty if it gave none
	Verb    string // what it may not do: "publish to" or "subscribe to"
	Subject string
}

// Error says who may not do what, and what to do.
func (e *DeniedError) Error() string {
	user := "a connection without a user"
	if e.User != "" {
		user = "user " + e.User
	}
	return fmt.Sprintf("the NATS server does not let %s %s %s: %s", user, e.Verb, e.Subject, remedy(e.Subject))
}

func (e *DeniedError) publishes() bool { return e.Verb == "publish to" }

// ofLog reports whether the refusal is of what a client of the log asks for itself: not of an
// answer to a subject that whoever asked has named.
func (e *DeniedError) ofLog() bool {
	return !e.publishes() || strings.HasPrefix(e.Subject, "$JS.") || strings.HasPrefix(e.Subject, root+".")
}

// Unwrap gives nats.ErrPermissionViolation.
func (e *DeniedError) Unwrap() error { return nats.ErrPermissionViolation }

// remedy says what a refused subject is for, and whose it is.
func remedy(subject string) string {
	words := strings.Split(subject, ".")
	begins := func(prefix string) bool { return strings.HasPrefix(subject, prefix) }
	switch {
	case begins(jsAPI + "STREAM.CREATE."):
		return "there is no event log yet; make it as the user admin with `blotter nats create`"
	case begins(jsAPI + "STREAM."), begins(jsAPI + "CONSUMER.DELETE."):
		return "what changes the log as a whole is the user admin's; connect with its seed (--nats-nkey)"
	case begins(jsAPI+"CONSUMER.") && len(words) > 5, begins("$JS.ACK."):
		return "a consumer is its own service's; connect with that one's seed (--nats-nkey)"
	case begins("command."):
		return "commands are the user operator's; connect with its seed (--nats-nkey)"
	case begins(root+".") && len(words) == 6:
		return "only " + words[4] + " says this; connect with the seed of whoever may (--nats-nkey)"
	}
	return "`blotter nats users --help` tells who may do what; write the users anew after an update, and have the server load them"
}

// refusal reads what the server says with a violation of permissions.
var refusal = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// deniedBy gives what the server has refused last, nil if err is not that.
func deniedBy(nc *nats.Conn, err error) *DeniedError {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return nil
	}
	e := &DeniedError{User: nc.Opts.Nkey, Verb: "do", Subject: err.Error()}
	if e.User == "" {
		e.User = nc.Opts.User
	}
	if m := refusal.FindStringSubmatch(err.Error()); m != nil {
		e.Verb, e.Subject = map[bool]string{true: "publish to", false: "subscribe to"}[strings.EqualFold(m[1], "publish")], m[2]
	}
	return e
}

// denied turns a timeout into what it means when the server has refused the
// connection a permission: the refusal itself comes as an error of the
// connection, not of the call. An answer that may not go to whoever asked is no reason: the
// asker has named where it is to go.
func denied(nc *nats.Conn, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		if e := deniedBy(nc, nc.LastError()); e != nil && e.ofLog() {
			return Permanent(fmt.Errorf("%w (%w)", e, err))
		}
	}
	return err
}

// refusalPoll is how often a call that may be refused looks whether it was.
const refusalPoll = 10 * time.Millisecond

// UntilDenied gives a context for one call on a connection that makes no other: it ends,
// with a *DeniedError as its cause, when the server refuses something. A call that is
// refused gets no answer.
func UntilDenied(ctx context.Context, nc *nats.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	before := nc.LastError()
	go func() {
		ticks := time.NewTicker(refusalPoll)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			//nolint:errorlint // the same refusal, not one like it
			if now := nc.LastError(); now != before {
				if e := deniedBy(nc, now); e != nil {
					cancel(e)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// deniedCause gives the refusal that ended a context of UntilDenied, else err.
func deniedCause(ctx context.Context, err error) error {
	var e *DeniedError
	if err != nil && errors.As(context.Cause(ctx), &e) {
		return Permanent(e)
	}
	return err
}
