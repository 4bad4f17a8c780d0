package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/telemetry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Batch is the transform of all files of a grant, of which there is one at least: table
// and token name it, so that the files of the same batch are always the same, in the
// same order.
type Batch struct {
	Table    registry.Table
	Files    []*blotterv1.FileRef
	Token    uint64
	Deadline time.Time
}

// Stage is the folder of the first file's output in the staging bucket: what concerns
// the batch as a whole lies there.
func (b Batch) Stage() string {
	return transform.StagePrefix(b.Table.ID, dms.FileID(b.Files[0].GetFileId()), b.Token)
}

// Outcome is how one file of a batch ended: it is staged, or failed; neither if it has
// not ended.
type Outcome struct {
	Staged  *blotterv1.StagedFile
	Failure *transform.Failure
	// OfRun: the failure is that of a run of several files, and nobody knows over which
	// of them it failed.
	OfRun bool
}

// Ended reports whether the file has come to its end.
func (o Outcome) Ended() bool { return o.Staged != nil || o.Failure != nil }

// Batcher is a Runner one run of which takes several files. A Dispatcher gives it all
// files of a grant together.
type Batcher interface {
	Runner
	// RunBatch blocks until every file has ended, and gives how, in the order of the
	// batch: one that fails keeps no other from being staged. What an earlier run has
	// brought to its end, under the same token, is not run again. An error may pass;
	// the outcomes that come with it are those of the files that ended all the same.
	// Watch hears of each run once for every file.
	RunBatch(ctx context.Context, b Batch, watch Watch) ([]Outcome, error)
}

// RunOne runs a job as a batch of one file, and tells nobody of it.
func RunOne(ctx context.Context, b Batcher, job Job) (*blotterv1.StagedFile, error) {
	outcomes, err := b.RunBatch(ctx, job.Batch(), Nobody{})
	if err != nil {
		return nil, err
	}
	if failure := outcomes[0].Failure; failure != nil {
		return nil, failure
	}
	return outcomes[0].Staged, nil
}

// Left reads what runs of a batch left in the staging bucket: the proof of what they
// staged of a file, or the failure that refuses it. Of outcomes, which has the length of
// the batch, those that are known stay; it reports whether every file has ended.
func Left(ctx context.Context, staging objects.Bucket, b Batch, outcomes []Outcome) (all bool, err error) {
	all = true
	for i, ref := range b.Files {
		if outcomes[i].Ended() {
			continue
		}
		file := wire.FileOf(ref)
		result, err := transform.FindStaged(ctx, staging, transform.Job{Table: b.Table, File: file, Token: b.Token})
		if err != nil {
			return false, err
		}
		if result != nil {
			outcomes[i].Staged = result.Staged()
			continue
		}
		if outcomes[i].Failure, err = transform.ReadFailure(ctx, staging, b.Table.ID, file.ID, b.Token); err != nil {
			return false, err
		}
		all = all && outcomes[i].Ended()
	}
	return all, nil
}

// Fail gives all files that have not ended the failure of their run.
func Fail(b Batch, outcomes []Outcome, failure *transform.Failure) {
	for i, file := range b.Files {
		if outcomes[i].Ended() {
			continue
		}
		located := *failure
		located.ObjectKey = file.GetObject().GetKey()
		outcomes[i] = Outcome{Failure: &located, OfRun: len(b.Files) > 1}
	}
}

// batch runs all files of a grant together and says how each ended.
func (d *Dispatcher) batch(ctx context.Context, r eventlog.Record, runner Batcher, b Batch) (err error) {
	if err := d.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer d.slots.Release(1)
	inTrace := make([]context.Context, len(b.Files)) // of each file
	for i, file := range b.Files {
		fileCtx, end := telemetry.Start(telemetry.FileContext(ctx, file.GetFileId()), d.Service+" transform")
		defer func() { end(err) }()
		inTrace[i] = fileCtx
	}
	var outcomes []Outcome
	err = d.try(ctx, b.Table.ID, b.Token, func() (err error) {
		outcomes, err = runner.RunBatch(ctx, b, watcher{d, r})
		return err
	}, "files", len(b.Files))
	if errors.Is(err, errSpent) {
		if outcomes == nil {
			outcomes = make([]Outcome, len(b.Files))
		}
		Fail(b, outcomes, d.unavailable(""))
		err = nil
	}
	if err != nil {
		return err
	}
	if len(outcomes) != len(b.Files) || slices.ContainsFunc(outcomes, func(o Outcome) bool { return !o.Ended() }) {
		return fmt.Errorf("transform of %s, token %d: the end of a run tells not of all files", b.Table.ID, b.Token)
	}
	return d.sayOutcomes(inTrace, r, b, outcomes)
}

// sayOutcomes says how files ended: first of those that are staged, since the grant ends
// with the first failure that lock-manager hears of; then of those at fault, lowest first,
// so that it is the lowest that its table stops at; last of those whose run failed.
func (d *Dispatcher) sayOutcomes(inTrace []context.Context, r eventlog.Record, b Batch, outcomes []Outcome) error {
	for _, which := range []func(Outcome) bool{
		func(o Outcome) bool { return o.Staged != nil },
		func(o Outcome) bool { return o.Failure != nil && !o.OfRun },
		func(o Outcome) bool { return o.Failure != nil && o.OfRun },
	} {
		for i, o := range outcomes {
			if !which(o) {
				continue
			}
			if err := d.sayOutcome(inTrace[i], r, b.Files[i].GetFileId(), b.Token, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// sayOutcome says how one file ended; of a fenced grant no failure is said.
func (d *Dispatcher) sayOutcome(ctx context.Context, r eventlog.Record, file string, token uint64, o Outcome) error {
	if o.Staged != nil {
		return d.say(ctx, r, file, token, "transformed", &blotterv1.FileTransformed{Staged: o.Staged})
	}
	if fenced, err := d.fenced(ctx, r, token); fenced || err != nil {
		return err
	}
	return d.say(ctx, r, file, token, "failed", &blotterv1.TransformFailed{
		FileId: file, Token: token, Failure: o.Failure.Proto(), OfRun: o.OfRun,
	})
}
