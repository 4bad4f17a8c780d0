package hammer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// archiveConfig has spans closed all the time.
func archiveConfig() archive.Config {
	cfg := archive.DefaultConfig()
	cfg.MaxEvents, cfg.MaxAge, cfg.Interval = 40, time.Second, 100*time.Millisecond
	return cfg
}

// archiver writes the archive of the log; all processes do, with one key. It dies with
// its process, at no step that is chosen: what it has begun is cut off anywhere.
func (n *node) archiver() (*archive.Writer, *local.Bucket, error) {
	dir := n.site.cfg.Dir
	secret, err := archive.MakeKeyIn(dir)
	if err != nil {
		return nil, nil, err
	}
	bucket, err := local.New("audit", filepath.Join(dir, "audit"))
	if err != nil {
		return nil, nil, err
	}
	n.closers = append(n.closers, bucket.Close)
	w, err := archive.NewWriter(archiveConfig(), bucket, n.log, secret, "")
	return w, bucket, err
}

// andArchive keeps the archive beside what a role does, as its process does.
func (n *node) andArchive(run func(context.Context) error) (func(context.Context) error, error) {
	w, _, err := n.archiver()
	if err != nil {
		return nil, err
	}
	keeper := &archive.Keeper{Writer: w, Interval: archiveConfig().Interval, Now: n.clock.now, Logger: n.site.cfg.Logger}
	return func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return run(ctx) })
		group.Go(func() error { return keeper.Run(ctx) })
		return group.Wait()
	}, nil
}

// checkArchive: the archive can be finished, whatever died while it was written, and
// holds each event of the log and nothing else.
func (w *world) checkArchive(n *node) error {
	writer, bucket, err := n.archiver()
	if err != nil {
		return err
	}
	var keys archive.Keys
	secret, err := archive.KeyIn(w.site.cfg.Dir)
	if err == nil {
		var public string
		if public, err = archive.PublicOf(secret); err == nil {
			keys, err = archive.ParseKeys(public)
		}
	}
	if err != nil {
		return err
	}
	if err := writer.Rest(w.ctx, func(archive.Checkpoint) {}); err != nil {
		w.violate("the archive of the log cannot be finished: %v", err)
		return nil
	}
	r, err := archive.Verify{Bucket: bucket, Keys: keys, Against: n.log}.Run(w.ctx)
	var wrong *archive.Wrong
	var differs *archive.LogDiffers
	switch {
	case errors.As(err, &wrong), errors.As(err, &differs):
		w.violate("the archive of the log: %v", err)
	case err != nil:
		return fmt.Errorf("verify the archive of the log: %w", err)
	case r.Gaps > 0 || r.Unsigned != "" || r.Compared != r.Size || int(r.Events) < w.report.Events: //nolint:gosec // bounded
		w.violate("the archive of the log holds %d of %d events with %d gaps, %q is not signed", r.Events, w.report.Events, r.Gaps, r.Unsigned)
	default:
		w.report.Spans = int(r.Spans) //nolint:gosec // bounded
	}
	return nil
}
