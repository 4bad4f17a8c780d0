package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/lambda/invocation"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	standinlambda "github.com/openblotter/blotter/tools/internal/standin/lambda"
	standins3 "github.com/openblotter/blotter/tools/internal/standin/s3"
)

// functionPlan says which load files the Lambda function stages, and how large it is.
type functionPlan struct {
	size    byteSize // of the rows as CSV
	formats []loadFormat
	memory  int // MB
	seed    uint64
}

// functionTimeout is Lambda's.
const functionTimeout = 15 * time.Minute

// measureFunction builds the function and has it stage a load file of each form, from
// and to S3, in a sandbox of its own. Stand-ins in this process answer for Lambda and S3.
func measureFunction(ctx context.Context, plan functionPlan, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "blotter-bench-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "bootstrap")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", program, "./services/lambda-transformer/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the function: %w\n%s", err, text)
	}
	info, err := os.Stat(program)
	if err != nil {
		return fmt.Errorf("look at the function: %w", err)
	}
	size := byteSize(info.Size())
	fmt.Fprintf(out, "the function: %s, of %d MB\n%-8s %10s %10s %8s %8s %8s %8s %10s\n", &size, plan.memory, "format", "rows", "as CSV", "start", "seconds", "cpu s", "MB/s", "peak")
	server, err := standins3.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_PROFILE": "",
	} {
		if err := os.Setenv(name, value); err != nil { // for the function's process, too
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	for _, format := range plan.formats {
		if err := plan.measure(ctx, program, dir, format, out); err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
	}
	return nil
}

func (p functionPlan) measure(ctx context.Context, program, dir string, format loadFormat, out io.Writer) (err error) {
	name := filepath.Join(dir, format.fileName())
	file, err := writeLoadFile(name, format, int64(p.size), p.seed)
	if err != nil {
		return err
	}
	cfg, err := awsconfig.Load(ctx, awsconfig.AnswerTimeout(functionTimeout))
	if err != nil {
		return err
	}
	raw, staging, job, err := p.upload(ctx, s3.NewClient(cfg), name, format)
	if err != nil {
		return err
	}
	server, err := standinlambda.Start(standinlambda.Config{Program: program, MemoryMB: p.memory, Timeout: functionTimeout, Sandboxes: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	maker := plan.Maker{Raw: plan.Place{Name: raw.Name(), URI: "s3://" + raw.Name()}, Staging: plan.Place{Name: staging.Name(), URI: "s3://" + staging.Name()}}
	document, err := jobs.Documents(maker)(job)
	if err != nil {
		return err
	}
	client := awslambda.NewFromConfig(cfg, func(o *awslambda.Options) { o.BaseEndpoint = aws.String(server.URL()) })
	answer, err := client.Invoke(ctx, &awslambda.InvokeInput{FunctionName: aws.String("bench"), Payload: document})
	if err != nil {
		return err
	}
	var said invocation.Answer
	if err := json.Unmarshal(answer.Payload, &said); err != nil || said.Stage == "" {
		return fmt.Errorf("the function answers %s", answer.Payload)
	}
	done, err := transform.FindStaged(ctx, staging, transform.Job{Table: job.Table, File: wire.FileOf(job.File), Token: job.Token})
	if err != nil {
		return err
	}
	if done == nil || done.Manifest.Counts.RowsRead != file.rows {
		return fmt.Errorf("%d rows were written, and not all of them staged", file.rows)
	}
	run := server.Runs()[0]
	plain, peak := byteSize(file.plain), byteSize(run.MaxRSS)
	seconds := (run.Duration - run.Init).Seconds()
	fmt.Fprintf(out, "%-8s %10d %10s %6dms %8.1f %8.1f %8.1f %10s\n", format, file.rows, &plain, run.Init.Milliseconds(), seconds, run.CPU.Seconds(), float64(file.plain)/1e6/seconds, &peak)
	return nil
}

// upload puts the load file into a raw bucket, makes a staging bucket, and gives the job
// between them.
func (p functionPlan) upload(ctx context.Context, client *awss3.Client, name string, format loadFormat) (raw, staging objects.Bucket, job jobs.Job, err error) {
	buckets := [2]objects.Bucket{}
	for i, kind := range []string{"raw", "staging"} {
		bucket := kind + "-" + string(format)
		if err = s3.CreateBucket(ctx, client, bucket, true); err == nil {
			buckets[i], err = s3.New(client, s3.Config{Bucket: bucket})
		}
		if err != nil {
			return nil, nil, job, err
		}
	}
	raw, staging = buckets[0], buckets[1]
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, job, fmt.Errorf("read the load file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	key := path.Join("dms", "bench", "incidents", format.fileName())
	if _, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(raw.Name()), Key: &key, Body: f}); err != nil {
		return nil, nil, job, fmt.Errorf("upload the load file: %w", err)
	}
	job, err = loadJob(ctx, raw, stageTask{Key: key, Registration: format.registration()})
	return raw, staging, job, err
}
