package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs/lambda"
	"github.com/openblotter/blotter/pkg/objects/s3"
	"github.com/openblotter/blotter/pkg/registry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/roles"
	standinlambda "github.com/openblotter/blotter/tools/internal/standin/lambda"
	standins3 "github.com/openblotter/blotter/tools/internal/standin/s3"
)

// functionName is what every table of the cases names.
const functionName = "blotter-transform"

// lambdaEngine is the system in this process, but for its transforms, which the program
// of the Lambda function does: its real bootstrap, between buckets of S3. Stand-ins in
// this process answer for Lambda and S3.
type lambdaEngine struct {
	dir    string
	s3     *standins3.Server
	lambda *standinlambda.Server
	api    *awslambda.Client
	client *awss3.Client
	cases  atomic.Int64
}

// prepare builds the function and starts the stand-ins.
func (e *lambdaEngine) prepare(ctx context.Context) (err error) {
	if e.dir, err = os.MkdirTemp("", "blotter-function-"); err != nil {
		return err
	}
	program := filepath.Join(e.dir, "bootstrap")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", program,
		"github.com/openblotter/blotter/services/lambda-transformer/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the Lambda function (from within the project): %w\n%s", err, out)
	}
	if e.s3, err = standins3.Start(); err != nil {
		return err
	}
	environment := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ENDPOINT_URL": e.s3.URL(),
	}
	for name, value := range environment { // for the function's processes, too
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	e.lambda, err = standinlambda.Start(standinlambda.Config{Program: program, MemoryMB: 1024, Timeout: 2 * time.Minute, Sandboxes: 8})
	if err != nil {
		return err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return err
	}
	e.client = s3.NewClient(cfg)
	e.api = awslambda.NewFromConfig(cfg, func(o *awslambda.Options) { o.BaseEndpoint = aws.String(e.lambda.URL()) })
	return nil
}

// open is a Factory.
func (e *lambdaEngine) open(ctx context.Context, dir string) (Pipeline, error) {
	raw := fmt.Sprintf("case-%d-raw", e.cases.Add(1))
	other := strings.TrimSuffix(raw, "raw") + "lake"
	for _, bucket := range []string{raw, other} {
		if err := s3.CreateBucket(ctx, e.client, bucket, true); err != nil {
			return nil, err
		}
	}
	cfg := roles.DefaultConfig()
	cfg.Places = roles.Places{Raw: "s3://" + raw, Staging: "s3://" + other + "/staging", Failed: "s3://" + other + "/failed", Lake: "s3://" + other + "/lake"}
	settings := lambda.DefaultConfig()
	settings.PollMin, settings.StartMin = 50*time.Millisecond, 50*time.Millisecond
	cfg.OnLambda = &roles.OnLambda{Config: settings, API: e.api}
	p, err := openLocal(ctx, dir, registry.FlagLambda, cfg)
	if err != nil {
		return nil, err
	}
	return &onS3{local: p.(*local), client: e.client, bucket: raw}, nil
}

func (e *lambdaEngine) close() error {
	var errs []error
	if e.lambda != nil {
		errs = append(errs, e.lambda.Close())
	}
	if e.s3 != nil {
		errs = append(errs, e.s3.Close())
	}
	if e.dir != "" {
		errs = append(errs, os.RemoveAll(e.dir))
	}
	return errors.Join(errs...)
}

// onS3 is a system whose raw bucket is one of S3.
type onS3 struct {
	*local
	client *awss3.Client
	bucket string
}

// Register has every table name the function.
func (l *onS3) Register(ctx context.Context, tables []registry.Table) error {
	named := make([]registry.Table, len(tables))
	for i, t := range tables {
		t.Job.Lambda = functionName
		named[i] = t
	}
	return l.local.Register(ctx, named)
}

// Deliver puts the object and tells ingest-router of it, as an event source would. S3
// gives an object the time of its writing; the case has another in mind.
func (l *onS3) Deliver(ctx context.Context, d Delivery) (dms.FileID, error) {
	key, err := d.key()
	if err != nil {
		return "", err
	}
	if !d.Redeliver {
		if err := l.put(ctx, d); err != nil {
			return "", err
		}
	}
	info, err := l.process.Raw.Stat(ctx, key)
	if err != nil {
		return "", err
	}
	return l.process.IngestRouter.Offer(ctx, dms.Object{
		Bucket: l.bucket, Key: key, VersionID: info.VersionID, ETag: info.ETag, Size: info.Size, LastModified: d.LastModified.UTC(),
	}, ingestrouter.FromEvent)
}

func (l *onS3) put(ctx context.Context, d Delivery) error {
	in := &awss3.PutObjectInput{Bucket: &l.bucket, Key: &d.Key}
	if d.Content != "" {
		f, err := os.Open(d.Content)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		in.Body = f
	}
	_, err := l.client.PutObject(ctx, in)
	return err
}
