package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

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

// ErrRawUnknown: the system has taken in objects, and does not know from where.
var ErrRawUnknown = errors.New("it is not known where the raw files lie")

// newRaw reports whether the raw folder is the process's own, and not there.
func (p *Process) newRaw() bool {
	if p.cfg.Places.Raw != "" {
		return false
	}
	_, err := os.Stat(p.cfg.path(RawDir))
	return errors.Is(err, fs.ErrNotExist)
}

// openNewRaw makes the raw folder of a new system, and opens it. One that knows objects had
// another one: in an empty folder it would take nothing in, without a word.
func (p *Process) openNewRaw(ctx context.Context) error {
	if !p.cfg.need(needRaw) || !p.newRaw() {
		return nil
	}
	knows, err := p.knowsObjects(ctx)
	if err != nil {
		return err
	}
	if knows {
		return fmt.Errorf("%w: this system has looked for objects before, and there is no folder %s, which is the place of those that no other is named for. "+
			"Say where they lie with --raw (%s remembers it, and was lost if it was said before); if it is this folder, and it was removed, make it again",
			ErrRawUnknown, p.cfg.path(RawDir), p.cfg.path(placesFile))
	}
	if err := os.MkdirAll(p.cfg.path(RawDir), 0o755); err != nil {
		return fmt.Errorf("make the raw folder: %w", err)
	}
	return p.openRaw(ctx)
}

// knowsObjects reports whether the log, as far as it reaches back, or the control store
// tells of objects.
func (p *Process) knowsObjects(ctx context.Context) (bool, error) {
	told, err := p.Log.Tables(ctx, ingestrouter.ServiceName)
	if err != nil || len(told) > 0 {
		return len(told) > 0, err
	}
	tables, err := p.Store.Tables(ctx)
	if err != nil {
		return false, fmt.Errorf("list the tables of the control store: %w", err)
	}
	for _, id := range tables {
		files, err := p.Store.Files(ctx, id, nil, 1)
		if err != nil {
			return false, fmt.Errorf("read the files of %s: %w", id, err)
		}
		if len(files) > 0 {
			return true, nil
		}
	}
	return false, nil
}
