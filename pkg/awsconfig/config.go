package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

const (
	// DefaultAttempts is how often a call is tried at most: some ten seconds of
	// backoff, which outlasts the usual throttling of S3 and DynamoDB.
	DefaultAttempts = 8
	// DefaultAnswerTimeout bounds the wait for the first byte of an answer once
	// the request is sent. Lambda and others that answer late need a longer one.
	DefaultAnswerTimeout = time.Minute

	// idleConnections is how many connections to one endpoint are kept.
	idleConnections = 64
)

// Option says more about the way to AWS.
type Option func(*options)

type options struct {
	answerTimeout time.Duration
	region        string
}

// Region replaces the region of the environment; empty leaves that.
func Region(name string) Option { return func(o *options) { o.region = name } }

// AnswerTimeout replaces DefaultAnswerTimeout.
func AnswerTimeout(d time.Duration) Option { return func(o *options) { o.answerTimeout = d } }

// Load reads the environment. AWS_MAX_ATTEMPTS and AWS_RETRY_MODE (or the
// profile) decide about retries where they are set. Fails if no region is named.
// Credentials are not looked for before the first call.
func Load(ctx context.Context, opts ...Option) (aws.Config, error) {
	o := options{answerTimeout: DefaultAnswerTimeout}
	for _, opt := range opts {
		opt(&o)
	}
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = o.answerTimeout
		t.MaxIdleConnsPerHost = idleConnections
	})
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(client), config.WithRegion(o.region))
	if err != nil {
		return aws.Config{}, fmt.Errorf("read the AWS environment: %w", err)
	}
	cfg.HTTPClient = written{cfg.HTTPClient}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("no AWS region is set: export AWS_REGION, or name one in the profile")
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = DefaultAttempts
	}
	// What is worth knowing stands in errors and spans; the SDK would write to
	// standard error.
	cfg.Logger = logging.Nop{}
	if err := instrument(&cfg); err != nil {
		return aws.Config{}, err
	}
	return cfg, nil
}
