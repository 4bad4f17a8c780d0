package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// ErrCutOff: the connection to the server is closed for good.
var ErrCutOff = errors.New("the connection to nats is closed for good")

// closed says why a connection was closed for good. The client library does that to one
// whose user the server has refused twice.
func closed(nc *nats.Conn) error {
	err := nc.LastError()
	if err == nil {
		return ErrCutOff
	}
	return fmt.Errorf("%w: %w", ErrCutOff, advise(err, nats.Options{Nkey: nc.Opts.Nkey, Url: nc.Opts.Url, RootCAsCB: nc.Opts.RootCAsCB, TLSCertCB: nc.Opts.TLSCertCB}))
}

// Guard ends with ctx (nil), or with a permanent error that says why a process which works
// with the log over its connection cannot go on: the server has closed it for good
// (ErrCutOff), or refuses what the process needs (a *DeniedError): to hear something, or
// one of its consumers. It calls ready when it watches, which must be before services add
// themselves to the connection. Refusals to publish come to whoever waits for the answer;
// those of an answer that somebody else asked for are nobody's here.
func (l *Log) Guard(ctx context.Context, ready func()) error {
	refused := make(chan *DeniedError, 1)
	before := l.nc.ErrorHandler()
	l.nc.SetErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
		if e := deniedBy(nc, err); e != nil && l.needs(e) {
			select {
			case refused <- e:
			default: // one is enough
			}
		}
		if before != nil {
			before(nc, sub, err)
		}
	})
	defer l.nc.SetErrorHandler(before)
	gone := l.nc.StatusChanged(nats.CLOSED)
	defer l.nc.RemoveStatusListener(gone)
	if l.nc.IsClosed() {
		return Permanent(closed(l.nc))
	}
	ready()
	select {
	case <-gone:
		return Permanent(closed(l.nc))
	case e := <-refused:
		return Permanent(e)
	case <-ctx.Done():
		return nil
	}
}

// needs reports whether what was refused is what this process cannot do without.
func (l *Log) needs(e *DeniedError) bool {
	if !e.publishes() {
		return true
	}
	name, ok := consumerIn(e.Subject, l.cfg.Stream)
	if !ok {
		return false
	}
	service, partition, ok := cutLast(name, consumerInfix)
	if _, err := strconv.ParseUint(partition, 10, 16); !ok || err != nil {
		return false
	}
	_, own := l.consuming.Load(service)
	return own
}

// consumerIn gives the name of the stream's consumer that a request to the server is about:
//
//	$JS.API.CONSUMER.<verb>.<stream>.<consumer>[.…]
//	$JS.API.CONSUMER.MSG.NEXT.<stream>.<consumer>
//	$JS.ACK.<stream>.<consumer>.…
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.…
func consumerIn(subject, stream string) (string, bool) {
	tokens := strings.Split(subject, ".")
	api, ack := strings.HasPrefix(subject, jsAPI+"CONSUMER."), strings.HasPrefix(subject, "$JS.ACK.")
	for _, at := range consumerPlaces(api, ack) {
		if len(tokens) > at && tokens[at-1] == stream {
			return tokens[at], true
		}
	}
	return "", false
}

// consumerPlaces gives which token of a subject may be a consumer; the stream stands before it.
func consumerPlaces(api, ack bool) []int {
	switch {
	case api:
		return []int{5, 6}
	case ack:
		return []int{3, 5}
	}
	return nil
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
