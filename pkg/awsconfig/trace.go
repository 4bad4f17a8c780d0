package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope names our instrumentation.
const scope = "github.com/openblotter/blotter/pkg/awsconfig"

// instrument makes every call of every client a span, retries included, and a
// value of blotter.aws.call.duration. (The instrumentation of OpenTelemetry's own
// contributions would link the clients of DynamoDB, SQS and SNS into everything.)
func instrument(cfg *aws.Config) error {
	duration, err := otel.Meter(scope).Float64Histogram("blotter.aws.call.duration", metric.WithUnit("s"),
		metric.WithDescription("Time that a call of AWS took, its retries included."))
	if err != nil {
		return fmt.Errorf("make the measure of AWS calls: %w", err)
	}
	call := middleware.InitializeMiddlewareFunc("BlotterTelemetry", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		start := time.Now()
		ctx, span := otel.Tracer(scope).Start(ctx, service+"."+operation, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(
				attribute.String("rpc.system", "aws-api"),
				attribute.String("rpc.service", service),
				attribute.String("rpc.method", operation),
				attribute.String("cloud.region", awsmiddleware.GetRegion(ctx)),
			))
		defer span.End()
		out, meta, err := next.HandleInitialize(ctx, in)
		outcome := outcomeOf(err)
		span.SetAttributes(attribute.String("blotter.outcome", outcome))
		if id, ok := awsmiddleware.GetRequestIDMetadata(meta); ok {
			span.SetAttributes(attribute.String("aws.request_id", id))
		}
		if attempts, ok := retry.GetAttemptResults(meta); ok {
			span.SetAttributes(attribute.Int("blotter.attempts", len(attempts.Results)))
		}
		if outcome == outcomeFailed {
			span.SetStatus(codes.Error, codeOf(err))
		}
		duration.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(
			attribute.String("rpc.service", service), attribute.String("rpc.method", operation),
			attribute.String("blotter.outcome", outcome)))
		return out, meta, err
	})
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(call, middleware.After)
	})
	return nil
}

const (
	outcomeOK       = "ok"
	outcomeRefused  = "refused" // an answer that our protocols count on
	outcomeCanceled = "canceled"
	outcomeFailed   = "failed"
)

// outcomeOf tells what is wrong from what is only a "no": a missing object, a
// taken key, a condition that does not hold.
func outcomeOf(err error) string {
	var response *smithyhttp.ResponseError
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, context.Canceled):
		return outcomeCanceled
	case errors.As(err, &response):
		switch response.HTTPStatusCode() {
		case http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotModified:
			return outcomeRefused
		}
	}
	switch codeOf(err) {
	case "ConditionalCheckFailedException", "TransactionCanceledException", "ResourceNotFoundException",
		"EntityNotFoundException", "AlreadyExistsException", "QueueDoesNotExist",
		"AWS.SimpleQueueService.NonExistentQueue":
		return outcomeRefused
	}
	return outcomeFailed
}

// codeOf names an error of AWS by its code: texts may hold names of objects.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return "no answer"
}
