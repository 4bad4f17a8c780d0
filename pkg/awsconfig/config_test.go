package awsconfig

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// server answers each call with the next of the statuses, the last for ever.
func server(t *testing.T, statuses ...int) *atomic.Int64 {
	t.Helper()
	calls := new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status := statuses[min(int(calls.Add(1)), len(statuses))-1]
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if status >= http.StatusBadRequest {
			w.Header().Set("X-Amzn-Query-Error", "AWS.SimpleQueueService.NonExistentQueue;Sender")
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(s.Close)
	t.Setenv("AWS_ENDPOINT_URL", s.URL)
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	return calls
}

func TestNoRegion(t *testing.T) {
	server(t, http.StatusOK)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := Load(t.Context()); err == nil {
		t.Error("loaded without a region")
	}
}

// TestRetriedAndTraced: a service that fails twice is asked three times, within
// one span that says so.
func TestRetriedAndTraced(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(before) })

	calls := server(t, http.StatusServiceUnavailable, http.StatusServiceUnavailable, http.StatusOK)
	cfg, err := Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.RetryMaxAttempts != DefaultAttempts || cfg.Region != "eu-west-1" {
		t.Errorf("%d attempts in %s", cfg.RetryMaxAttempts, cfg.Region)
	}
	client := sqs.NewFromConfig(cfg)
	if _, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{}); err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls, want 3", calls.Load())
	}
	checkSpan(t, spans, "SQS.ListQueues", outcomeOK, codes.Unset)

	server(t, http.StatusBadRequest)
	if cfg, err = Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = sqs.NewFromConfig(cfg).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q")})
	if err == nil {
		t.Fatal("a queue that is not there was found")
	}
	checkSpan(t, spans, "SQS.GetQueueUrl", outcomeRefused, codes.Unset)
}

func checkSpan(t *testing.T, spans *tracetest.InMemoryExporter, name, outcome string, code codes.Code) {
	t.Helper()
	list := spans.GetSpans()
	spans.Reset()
	if len(list) != 1 || list[0].Name != name || list[0].Status.Code != code {
		t.Fatalf("spans: %+v", list)
	}
	for _, a := range list[0].Attributes {
		if a.Key == "blotter.outcome" && a.Value.AsString() != outcome {
			t.Errorf("%s: outcome %s, want %s", name, a.Value.AsString(), outcome)
		}
	}
}

func TestAttemptsOfTheEnvironment(t *testing.T) {
	server(t, http.StatusOK)
	t.Setenv("AWS_MAX_ATTEMPTS", "2")
	cfg, err := Load(t.Context())
	if err != nil || cfg.RetryMaxAttempts != 2 {
		t.Errorf("%d attempts, %v", cfg.RetryMaxAttempts, err)
	}
}
