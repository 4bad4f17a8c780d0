package eventlog

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"
)

// A file's events are handled in the file's trace, from the first service on,
// and each is a child of the one that it answers.
func TestAFilesEventsAreOneTrace(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(exporter)))
	defer otel.SetTracerProvider(noop.NewTracerProvider())

	l := openLog(t, startServer(t), testConfig())
	first := arrived(reports, 0)
	publish(t, l, first)
	var got seen
	stage := func(service string) Handler {
		return func(ctx context.Context, r Record) error {
			_, err := l.PublishOnce(ctx, answer(service, r, classifiedMessage()))
			got.add(r)
			return err
		}
	}
	stopClassifier := consumeInBackground(t, l, fromIngest, stage("classifier"))
	stopCurator := consumeInBackground(t, l, ConsumerConfig{Service: "curator", From: []string{"classifier"}}, stage("curator"))
	eventually(t, "both stages", func() bool { return got.count() == 2 })
	stopClassifier()
	stopCurator()

	spans := exporter.GetSpans()
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	for _, s := range spans {
		if s.SpanContext.TraceID().String() != first.Correlation {
			t.Errorf("%s is in trace %s, want the file's, %s", s.Name, s.SpanContext.TraceID(), first.Correlation)
		}
	}
	byName := map[string]tracetest.SpanStub{spans[0].Name: spans[0], spans[1].Name: spans[1]}
	if byName["curator FileClassified"].Parent.SpanID() != byName["classifier ObjectArrived"].SpanContext.SpanID() {
		t.Errorf("the second stage is no child of the first: %v", byName)
	}
}
