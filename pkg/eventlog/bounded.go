package eventlog

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// boundedStream has every call to the server end within a time, also where the
// caller's context has a deadline far away: the client then waits until that, and
// what a server took in before it went down is never answered.
type boundedStream struct {
	jetstream.Stream
	timeout time.Duration
}

func (s boundedStream) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timeout)
}

// Info asks for the state of the stream.
func (s boundedStream) Info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.Stream.Info(ctx, opts...)
}

// GetMsg reads one message.
func (s boundedStream) GetMsg(ctx context.Context, seq uint64, opts ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.Stream.GetMsg(ctx, seq, opts...)
}

// GetLastMsgForSubject reads the last message of a subject.
func (s boundedStream) GetLastMsgForSubject(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.Stream.GetLastMsgForSubject(ctx, subject)
}

// CreateOrUpdateConsumer makes a consumer, or gives it its settings.
func (s boundedStream) CreateOrUpdateConsumer(ctx context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.Stream.CreateOrUpdateConsumer(ctx, cfg)
}

// OrderedConsumer makes a temporary consumer.
func (s boundedStream) OrderedConsumer(ctx context.Context, cfg jetstream.OrderedConsumerConfig) (jetstream.Consumer, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.Stream.OrderedConsumer(ctx, cfg)
}

// ResetConsumer has a consumer deliver anew what was not acknowledged.
func (s boundedStream) ResetConsumer(ctx context.Context, name string) (*jetstream.ConsumerResetResponse, error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	return s.Stream.ResetConsumer(ctx, name)
}
