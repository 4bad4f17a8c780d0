package roles

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/objects/s3"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

// Raw is the raw bucket and the watch over it.
type Raw interface {
	objects.Bucket
	// ScanAfter, Scan, Fresh and Missed are what ingest-router finds objects by.
	objects.Scanner
	Scan(ctx context.Context, prefix string) iter.Seq2[objects.Info, error]
	Fresh(ctx context.Context, prefix string, want objects.Want) iter.Seq2[objects.Info, error]
	Missed() error
	// Unstable is how many files the last scan passed over since they are still being
	// written; a wake-up will come when they may be whole.
	Unstable() int
	// Changes gives a value when it is worth to scan again.
	Changes() <-chan struct{}
}

var _ ingestrouter.Raw = Raw(nil)

// rawFolder is a folder into which others drop files.
type rawFolder struct {
	*local.Bucket
	*local.Watcher
}

// Unstable implements Raw.
func (r rawFolder) Unstable() int { return r.Report().Unstable }

// Missed tells what the last scan passed over although it may be data.
func (r rawFolder) Missed() error {
	report := r.Report()
	if report.Unstable > 0 {
		return fmt.Errorf("%d files are still being written; try again when they are whole", report.Unstable)
	}
	var errs []error
	for _, skip := range report.Skips {
		errs = append(errs, fmt.Errorf("%s cannot be read: %w", skip.Path, skip.Reason))
	}
	return errors.Join(errs...)
}

// rawOnS3 is a bucket of S3, whose objects are whole when they are there.
type rawOnS3 struct {
	*s3.Bucket
	*s3.Watcher
}

// Unstable is 0.
func (rawOnS3) Unstable() int { return 0 }

var (
	_ Raw = rawFolder{}
	_ Raw = rawOnS3{}
)
