package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// Stores are what a system keeps beside its log and its control store, opened for
// looking: nothing of it can be changed through them, and a process may run meanwhile.
type Stores struct {
	Raw, Staging, Failed objects.Bucket
	Lake                 *lake.Lake // nil: nothing was published yet

	closers []func() error
}

// OpenStores opens the stores of a system. Close them.
func OpenStores(ctx context.Context, cfg Config, logger *slog.Logger) (_ *Stores, err error) {
	s := &Stores{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	o := &opener{cfg: cfg}
	for _, b := range []struct {
		name   string
		bucket *objects.Bucket
	}{{"raw", &s.Raw}, {"staging", &s.Staging}, {"failed", &s.Failed}} {
		p, err := o.bucket(ctx, b.name, true)
		if err != nil {
			return nil, err
		}
		*b.bucket = p.bucket
		s.closers = append(s.closers, p.close)
	}
	l, closer, err := OpenLake(ctx, cfg, logger)
	if errors.Is(err, ErrNoLake) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.Lake = l
	s.closers = append(s.closers, closer)
	return s, nil
}

// Close lets go of everything.
func (s *Stores) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// Copy is a lake of its own, in a folder that holds nothing else: tables that are made
// once more, to be compared or kept.
type Copy struct {
	Dir     string
	Lake    *lake.Lake
	Staging objects.Bucket
	Scratch string // for files without a name

	closers []func() error
}

// ErrNotEmpty: a folder that is to be filled holds something.
var ErrNotEmpty = errors.New("the folder is not empty")

// NewCopy makes an empty lake in a new or empty folder, with a staging folder beside
// it. Close it.
func NewCopy(ctx context.Context, dir string, logger *slog.Logger) (_ *Copy, err error) {
	cfg := DefaultConfig()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder %s: %w", dir, err)
	}
	// The tables remember its path.
	if cfg.Dir, err = trueName(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("look into the folder %s: %w", dir, err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s: %w; name a new one", dir, ErrNotEmpty)
	}
	c := &Copy{Dir: cfg.Dir, Scratch: cfg.path("scratch")}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	if err := os.Mkdir(c.Scratch, 0o700); err != nil {
		return nil, fmt.Errorf("make a scratch folder: %w", err)
	}
	c.closers = append(c.closers, func() error { return os.RemoveAll(c.Scratch) })
	staging, err := local.New("staging", cfg.path(StagingDir), local.Immutable())
	if err != nil {
		return nil, fmt.Errorf("open the staging folder: %w", err)
	}
	c.Staging = staging
	// The folder stays, since OpenLake wants one.
	c.closers = append(c.closers, func() error {
		return errors.Join(os.RemoveAll(cfg.path(StagingDir)), os.Mkdir(cfg.path(StagingDir), 0o755))
	}, staging.Close)
	cfg.Lake.ScratchDir = c.Scratch
	l, closer, err := (&opener{cfg: cfg}).lake(ctx, cfg.Lake, staging, logger, false)
	if err != nil {
		return nil, err
	}
	c.Lake = l
	c.closers = append(c.closers, closer)
	return c, nil
}

// Close lets go of the lake, and removes all but its tables and an empty staging folder.
func (c *Copy) Close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		errs = append(errs, c.closers[i]())
	}
	c.closers = nil
	return errors.Join(errs...)
}
