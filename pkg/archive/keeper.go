package archive

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Keeper archives what is due, while a process runs.
type Keeper struct {
	Writer   *Writer
	Interval time.Duration
	Now      func() time.Time
	Logger   *slog.Logger
}

// Run looks at once and then every Interval, until ctx ends. What fails is told and
// tried again: that the archive cannot be written stops no service.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.Interval)
	defer tick.Stop()
	for {
		if err := k.Once(ctx); err != nil && ctx.Err() == nil {
			k.Logger.ErrorContext(ctx, "the log cannot be archived; trying again", "error", err, "in", k.Interval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Once writes all spans that are due now.
func (k *Keeper) Once(ctx context.Context) error {
	for {
		due, err := k.Writer.Due(ctx, k.Now())
		if err != nil || !due {
			return err
		}
		c, err := k.Writer.Next(ctx)
		if err != nil || c == nil {
			return err
		}
		k.Logger.InfoContext(ctx, "a span of the log is archived", "span", c.Span.Number, "first", c.Span.First, "last", c.Span.Last)
	}
}

// Rest writes all that the log holds now, whether it is due or not; told is called for
// each span. It ends although the log grows meanwhile.
func (w *Writer) Rest(ctx context.Context, told func(Checkpoint)) error {
	_, last, err := w.log.Bounds(ctx)
	if err != nil {
		return err
	}
	for {
		head, err := w.Head(ctx)
		if err != nil {
			return err
		}
		if head != nil && head.Size >= last || last == 0 {
			return nil
		}
		c, err := w.Next(ctx)
		switch {
		case err != nil:
			return err
		case c == nil:
			return errors.New("the log ends before it should: it was changed meanwhile")
		}
		told(*c)
	}
}
