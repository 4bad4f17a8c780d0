package telemetry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// FileContext gives a context whose spans belong to the trace of a file. The
// trace id is the file id (32 hex digits), the remote parent's span id is derived
// from it, so that every process makes the same. A context that is in the file's
// trace already is returned as it is; so is ctx where fileID is no file id.
func FileContext(ctx context.Context, fileID string) context.Context {
	raw, err := hex.DecodeString(fileID)
	if err != nil || len(raw) != len(trace.TraceID{}) {
		return ctx
	}
	id := trace.TraceID(raw)
	if !id.IsValid() || trace.SpanContextFromContext(ctx).TraceID() == id {
		return ctx
	}
	sum := sha256.Sum256(raw)
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    id,
		SpanID:     trace.SpanID(sum[:8]),
		TraceFlags: trace.FlagsSampled,
		Remote:     true,
	}))
}

// Inject writes the recording span of ctx into the headers of a message. Without
// one it writes nothing: the file id alone leads the receiver to the trace.
func Inject(ctx context.Context, header nats.Header) {
	if trace.SpanFromContext(ctx).IsRecording() {
		propagation.TraceContext{}.Inject(ctx, carrier(header))
	}
}

// Extract gives a context with the span that Inject wrote, or ctx if there is none.
func Extract(ctx context.Context, header nats.Header) context.Context {
	if len(header["traceparent"]) == 0 {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, carrier(header))
}

// carrier reads and writes keys as they are: nats headers know no canonical
// form, and the one of net/http would hide the lower-case keys of W3C.
type carrier nats.Header

var _ propagation.TextMapCarrier = carrier{}

// Get gives the first value of a key, or "".
func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Set replaces the values of a key.
func (c carrier) Set(key, value string) { c[key] = []string{value} }

// Keys lists all keys.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
