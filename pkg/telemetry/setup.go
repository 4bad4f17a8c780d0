package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// Config names the process to whoever reads its traces.
type Config struct {
	// Service is the service.name, such as "blotter".
	Service string
	// Version is the service.version; empty: unknown.
	Version string
	// Roles are the services that run in this process.
	Roles []string
}

// Setup installs trace and metric providers that export over OTLP gRPC, each
// only where its endpoint is set (OTEL_EXPORTER_OTLP_ENDPOINT, or the variants
// …_TRACES_ENDPOINT and …_METRICS_ENDPOINT); all other settings are those of the
// OpenTelemetry environment variables. OTEL_SDK_DISABLED=true turns both off.
// shutdown sends what is left and is never nil. An endpoint that does not answer
// is no error: exporting goes on trying and drops what is too old.
func Setup(ctx context.Context, cfg Config) (shutdown func(context.Context) error, err error) {
	var closers []func(context.Context) error
	shutdown = func(ctx context.Context) error {
		var errs []error
		for _, c := range closers {
			errs = append(errs, c(ctx))
		}
		return errors.Join(errs...)
	}
	traces, metrics := enabled("TRACES"), enabled("METRICS")
	if !traces && !metrics {
		return shutdown, nil
	}
	res, err := describe(ctx, cfg)
	if err != nil {
		return shutdown, err
	}
	if traces {
		exporter, err := otlptracegrpc.New(ctx)
		if err != nil {
			return shutdown, fmt.Errorf("set up the export of traces: %w", err)
		}
		closers = append(closers, installTraces(res, trace.WithBatcher(exporter)))
	}
	if metrics {
		exporter, err := otlpmetricgrpc.New(ctx)
		if err != nil {
			return shutdown, errors.Join(fmt.Errorf("set up the export of metrics: %w", err), shutdown(ctx))
		}
		provider := metric.NewMeterProvider(metric.WithResource(res), metric.WithReader(metric.NewPeriodicReader(exporter)))
		otel.SetMeterProvider(provider)
		closers = append(closers, provider.Shutdown)
	}
	return shutdown, nil
}

// installTraces makes the process-wide tracer provider. Our own spans follow
// their parent's sampling; OTEL_TRACES_SAMPLER decides where there is none.
func installTraces(res *resource.Resource, opts ...trace.TracerProviderOption) func(context.Context) error {
	provider := trace.NewTracerProvider(append(opts, trace.WithResource(res))...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown
}

func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	attrs := []attribute.KeyValue{attribute.String("service.name", cfg.Service)}
	if cfg.Version != "" {
		attrs = append(attrs, attribute.String("service.version", cfg.Version))
	}
	if len(cfg.Roles) > 0 {
		attrs = append(attrs, attribute.StringSlice("blotter.roles", cfg.Roles))
	}
	res, err := resource.New(ctx,
		resource.WithAttributes(attrs...),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("describe this process to OpenTelemetry: %w", err)
	}
	return res, nil
}

func enabled(signal string) bool {
	if os.Getenv("OTEL_SDK_DISABLED") == "true" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
		os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}
