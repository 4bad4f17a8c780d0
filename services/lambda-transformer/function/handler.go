package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/jobs/lambda/invocation"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
	"github.com/openblotter/blotter/pkg/transform"
)

const (
	// memoryVariable is where Lambda says how much memory the function has, in MB.
	memoryVariable = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
	// margin is how long before its end an invocation gives up, to say so.
	margin = 10 * time.Second
	// leastRows is the least memory that rows are sorted in.
	leastRows = 16 << 20
)

// handler does what a plan says. One serves all invocations of a sandbox, one after the
// other.
type handler struct {
	cfg  transform.Config
	open func(ctx context.Context, place plan.Place, readOnly bool) (objects.Bucket, error)

	mu      sync.Mutex
	buckets map[plan.Place]objects.Bucket // kept between invocations
}

// configOf bounds a transform by the memory of the function: a quarter for rows, as far
// as more of them would be of use, the rest for reading, writing and the program. It
// gives that memory in bytes, too; 0 if it is not said, as outside of Lambda.
func configOf(memory string) (cfg transform.Config, bytes int64, err error) {
	cfg = transform.DefaultConfig()
	cfg.ScratchDir = os.TempDir()
	if memory == "" {
		return cfg, 0, nil
	}
	mb, err := strconv.ParseInt(memory, 10, 64)
	if err != nil || mb <= 0 {
		return cfg, 0, fmt.Errorf("%s is %q: expected megabytes", memoryVariable, memory)
	}
	bytes = mb << 20
	cfg.MemoryBytes = min(max(bytes/4, leastRows), cfg.MemoryBytes)
	return cfg, bytes, nil
}

// handle transforms the one file of a plan. The file's fault is no error of the function:
// it is left beside the output. An error is a fault that may pass.
func (h *handler) handle(ctx context.Context, request json.RawMessage) (invocation.Answer, error) {
	p, err := plan.Decode(request)
	if err != nil {
		return invocation.Answer{}, err
	}
	if len(p.Files) != 1 {
		return invocation.Answer{}, fmt.Errorf("plan %s has %d files: a function takes one", p.Stage, len(p.Files))
	}
	raw, err := h.bucket(ctx, p.Raw, true)
	if err != nil {
		return invocation.Answer{}, err
	}
	staging, err := h.bucket(ctx, p.Staging, false)
	if err != nil {
		return invocation.Answer{}, err
	}
	file := p.Files[0]
	deps := transform.Deps{Raw: raw, Staging: staging}
	if !file.Mending.IsZero() {
		if deps.Failed, err = h.bucket(ctx, p.Failed, true); err != nil {
			return invocation.Answer{}, err
		}
	}
	err = h.run(ctx, p, deps)
	if errors.Is(err, errTime) {
		err = invocation.Timeout(file.Object.Key)
	}
	var failure *transform.Failure
	if errors.As(err, &failure) {
		err = transform.WriteFailure(ctx, staging, p.Table.ID, file.ID, p.Token, failure)
	}
	return invocation.Answer{Stage: p.Stage}, err
}

// errTime: Lambda is about to end this invocation.
var errTime = errors.New("the function's time is over")

// run transforms until the grant's deadline, which may pass, or shortly before the
// invocation's own end, which is an answer.
func (h *handler) run(ctx context.Context, p plan.Plan, deps transform.Deps) error {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, end.Add(-margin), errTime)
		defer cancel()
	}
	if !p.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, p.Deadline)
		defer cancel()
	}
	_, err := transform.Run(ctx, limited(h.cfg, p.Limits), deps, p.Job(0))
	var failure *transform.Failure
	if err != nil && !errors.As(err, &failure) && errors.Is(context.Cause(ctx), errTime) {
		return errTime
	}
	return err
}

// limited has a configuration keep the limits that a plan sets.
func limited(cfg transform.Config, l plan.Limits) transform.Config {
	if l.MaxFieldBytes > 0 {
		cfg.MaxFieldBytes = l.MaxFieldBytes
	}
	if l.MaxFileBytes > 0 {
		cfg.MaxFileBytes = l.MaxFileBytes
	}
	if l.MaxFileRows > 0 {
		cfg.MaxFileRows = l.MaxFileRows
	}
	return cfg
}

func (h *handler) bucket(ctx context.Context, place plan.Place, readOnly bool) (objects.Bucket, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b, ok := h.buckets[place]; ok {
		return b, nil
	}
	b, err := h.open(ctx, place, readOnly)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s at %s: %w", place.Name, place.URI, err)
	}
	if h.buckets == nil {
		h.buckets = map[plan.Place]objects.Bucket{}
	}
	h.buckets[place] = b
	return b, nil
}

// openS3 opens a bucket at s3://BUCKET[/PREFIX].
func openS3(ctx context.Context, place plan.Place, readOnly bool) (objects.Bucket, error) {
	rest, ok := strings.CutPrefix(place.URI, "s3://")
	bucket, prefix, _ := strings.Cut(rest, "/")
	if !ok || bucket == "" || bucket != place.Name {
		return nil, fmt.Errorf("a function reads s3://%s[/PREFIX]", place.Name)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	// The context of an invocation ends with it; what is opened stays.
	cfg, err := awsconfig.Load(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	return s3.New(s3.NewClient(cfg), s3.Config{Bucket: bucket, Prefix: prefix, ReadOnly: readOnly})
}
