package telemetry

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

const fileID = "0123456789abcdef0123456789abcdef"

// record installs an exporter that keeps all spans, for one test.
func record(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	shutdown := installTraces(resource.Empty(), trace.WithSyncer(exporter))
	t.Cleanup(func() {
		if err := shutdown(t.Context()); err != nil {
			t.Log(err)
		}
		otel.SetTracerProvider(noop.NewTracerProvider())
	})
	return exporter
}

func TestSpansOfAllServicesMeetInTheFilesTrace(t *testing.T) {
	exporter := record(t)

	// One service works on the file and sends a message.
	ctx, end := Start(FileContext(t.Context(), fileID), "classify")
	header := nats.Header{}
	Inject(ctx, header)
	end(nil)
	if header["traceparent"] == nil {
		t.Fatalf("no lower-case traceparent in %v", header)
	}
	// Another receives it, a third has nothing but the file id.
	_, end = Start(FileContext(Extract(t.Context(), header), fileID), "transform")
	end(errors.New("no"))
	_, end = Start(FileContext(t.Context(), fileID), "publish")
	end(nil)

	spans := exporter.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("got %d spans, want 3", len(spans))
	}
	for _, s := range spans {
		if s.SpanContext.TraceID().String() != fileID {
			t.Errorf("span %s is in trace %s", s.Name, s.SpanContext.TraceID())
		}
	}
	if spans[1].Parent.SpanID() != spans[0].SpanContext.SpanID() {
		t.Error("the receiver's span is no child of the sender's")
	}
	if spans[0].Parent.SpanID() != spans[2].Parent.SpanID() {
		t.Error("two processes derived different parents from one file id")
	}
	if spans[1].Status.Code != codes.Error {
		t.Error("a failed span is not marked")
	}
}

func TestFileContextLeavesOtherIDsAlone(t *testing.T) {
	for _, id := range []string{"", "rms.reports", "00000000000000000000000000000000", fileID + "00"} {
		if ctx := FileContext(t.Context(), id); oteltrace.SpanContextFromContext(ctx).IsValid() {
			t.Errorf("%q gave a trace", id)
		}
	}
}

func TestOffWithoutAnEndpoint(t *testing.T) {
	for _, k := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"} {
		t.Setenv(k, "")
	}
	before := otel.GetTracerProvider()
	shutdown, err := Setup(t.Context(), Config{Service: "blotter"})
	if err != nil {
		t.Fatal(err)
	}
	if otel.GetTracerProvider() != before {
		t.Error("a provider was installed")
	}
	ctx, end := Start(FileContext(t.Context(), fileID), "classify")
	header := nats.Header{}
	Inject(ctx, header)
	end(nil)
	if len(header) != 0 {
		t.Errorf("headers were written: %v", header)
	}
	if err := shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEachSignalHasItsSwitch(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "")
	if !enabled("TRACES") || enabled("METRICS") {
		t.Error("the traces endpoint does not turn on traces alone")
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if enabled("TRACES") {
		t.Error("OTEL_SDK_DISABLED is not obeyed")
	}
}
