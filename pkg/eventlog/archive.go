package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Archive holds events that the stream may have been trimmed of.
type Archive interface {
	// Last gives the sequence up to which events are archived, 0 if none are.
	Last(ctx context.Context) (uint64, error)
	// Read yields the chosen events in the order of the log. An error is yielded last.
	Read(ctx context.Context, f ArchiveFilter) iter.Seq2[Raw, error]
}

// ArchiveFilter chooses archived events.
type ArchiveFilter struct {
	First, Last uint64                    // sequences, inclusive
	Wants       func(subject string) bool // nil: all
	// From and Until let the archive pass over what is all older or all newer; it may
	// yield such events all the same. Zero: no bound.
	From, Until time.Time
}

// WithArchive has reads begin in an archive where the stream was trimmed. open is called
// by a read that needs it.
func WithArchive(open func(context.Context) (Archive, error)) Option {
	return func(l *Log) { l.archive = open }
}

// Archived gives the sequence up to which the log is archived: 0 if no archive was named
// (see WithArchive). Its errors are those of opening the archive and of reading it.
func (l *Log) Archived(ctx context.Context) (uint64, error) {
	if l.archive == nil {
		return 0, nil
	}
	a, err := l.archive(ctx)
	if err != nil {
		return 0, err
	}
	return a.Last(ctx)
}

// ErrGone: the log was trimmed, and what is missing is not in the archive.
var ErrGone = errors.New("events are in neither the log nor its archive")

// readTrimmed yields the chosen events before sequence first, where the stream begins.
// It reports whether the read is to go on in the stream.
func (l *Log) readTrimmed(ctx context.Context, f Filter, first uint64, yield func(Record, error) bool) bool {
	from, last := max(f.FromSeq, 1), first-1
	if f.UntilSeq > 0 {
		last = min(last, f.UntilSeq)
	}
	if l.archive == nil || from > last {
		return true
	}
	fail := func(err error) bool {
		yield(Record{}, fmt.Errorf("read the archive of the log: %w", err))
		return false
	}
	a, err := l.archive(ctx)
	if err != nil {
		return fail(fmt.Errorf("the log begins at sequence %d, what was before is archived: %w", first, err))
	}
	archived, err := a.Last(ctx)
	if err != nil {
		return fail(err)
	}
	if archived < last {
		return fail(fmt.Errorf("%w: sequences %d to %d", ErrGone, archived+1, last))
	}
	for raw, err := range a.Read(ctx, ArchiveFilter{First: from, Last: last, Wants: f.chooses(), From: f.From, Until: f.Until}) {
		if err != nil {
			return fail(err)
		}
		if !f.From.IsZero() && raw.Stored.Before(f.From) {
			continue
		}
		if !f.Until.IsZero() && raw.Stored.After(f.Until) {
			return false
		}
		rec, err := raw.Record()
		if !yield(rec, err) || err != nil {
			return false
		}
	}
	return true
}

// ErrTrimmed: the log was trimmed while it was read.
var ErrTrimmed = errors.New("the log was trimmed while it was read: read again")

// stillFrom fails if the stream was trimmed since it began at first: what was read of it
// may lack events.
func (l *Log) stillFrom(ctx context.Context, first uint64) error {
	if l.archive == nil {
		return nil
	}
	now, _, err := l.Bounds(ctx)
	if err == nil && now > first {
		err = ErrTrimmed
	}
	return err
}

// chooses is what the server does with the subjects of filters; nil if all are wanted.
func (f Filter) chooses() func(subject string) bool {
	if f.Table.IsZero() && f.Service == "" && f.Event == "" {
		return nil
	}
	return func(subject string) bool {
		a, err := ParseSubject(subject)
		if err != nil {
			return true // so that it is told
		}
		return (f.Table.IsZero() || a.Table == f.Table) &&
			(f.Service == "" || a.Service == f.Service) && (f.Event == "" || a.Event == f.Event)
	}
}
