package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/callback"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
)

// parallelEnds bounds the files of one event that are told at once.
const parallelEnds = 16

// change loads the row of a file's execution, has it changed, and writes it; change
// reports false where there is nothing to write. Another writer in between has it
// begin anew.
func (e *Entrypoint) change(ctx context.Context, id dms.FileID, change func(*control.ExecutionRow) (bool, error)) (control.ExecutionRow, error) {
	for range maxConflicts {
		row, err := e.deps.Executions.Execution(ctx, id)
		if errors.Is(err, control.ErrNotFound) {
			row, err = control.ExecutionRow{FileID: id}, nil
		}
		if err != nil {
			return row, err
		}
		changed, err := change(&row)
		if err != nil || !changed {
			return row, err
		}
		err = e.deps.Executions.PutExecution(ctx, row)
		if err == nil {
			row.Revision++
			return row, nil
		}
		if !errors.Is(err, control.ErrConflict) {
			return row, err
		}
	}
	return control.ExecutionRow{}, fmt.Errorf("note the execution of file %s: %w %d times in a row", id, control.ErrConflict, maxConflicts)
}

// isNewer reports whether a waiter comes after the one that is known: its task began
// later. Messages come in any order.
func (w waiter) isNewer(row control.ExecutionRow) bool {
	if c := w.Entered.Compare(row.Since); c != 0 {
		return c > 0
	}
	return w.Execution > row.Execution
}

// await notes who waits for a file. The newest one does; any other is told that it is a
// duplicate. Where the file has ended already, it is told at once: what happens
// between the note and the look is told by whoever sees the end.
func (e *Entrypoint) await(ctx context.Context, id dms.FileID, w waiter) error {
	var replaced, duplicateOf string
	row, err := e.change(ctx, id, func(row *control.ExecutionRow) (bool, error) {
		replaced, duplicateOf = "", ""
		end, err := decodeEnd(row.End)
		if err != nil {
			return false, err
		}
		other := row.Execution != "" && row.Execution != w.Execution
		switch {
		case w.Execution == row.Execution && w.Entered.Equal(row.Since):
			return false, nil // the same message again
		case other && (end.Outcome != "" || !w.isNewer(*row)):
			duplicateOf = row.Execution
			return false, nil
		case !w.isNewer(*row):
			return false, nil // an attempt of the same execution that was given up
		}
		if other {
			replaced = row.Token
		}
		row.Execution, row.Since, row.Token = w.Execution, w.Entered.UTC(), w.Token
		return true, nil
	})
	if err != nil {
		return err
	}
	if duplicateOf != "" {
		return e.succeed(ctx, w.Token, End{Outcome: Duplicate, FileID: id, Of: duplicateOf})
	}
	if replaced != "" {
		if err := e.succeed(ctx, replaced, End{Outcome: Duplicate, FileID: id, Of: w.Execution}); err != nil {
			return err
		}
	}
	return e.answer(ctx, row)
}

// succeed tells a task that it succeeded. One that is gone was told, or will not be.
func (e *Entrypoint) succeed(ctx context.Context, token string, end End) error {
	output, err := end.encode()
	if err != nil {
		return err
	}
	if err := e.deps.Tasks.Succeed(ctx, token, output); err != nil && !errors.Is(err, callback.ErrGone) {
		return err
	}
	return nil
}

// answer tells who waits how the file ended, if it did, and notes that nobody waits.
// A crash in between has it told again, which changes nothing.
func (e *Entrypoint) answer(ctx context.Context, row control.ExecutionRow) error {
	end, err := decodeEnd(row.End)
	if err != nil || end.Outcome == "" || row.Token == "" {
		return err
	}
	if end.Outcome == Quarantined {
		cause := end.Reason + ": " + end.Detail
		if end.Report != "" {
			cause += "; report: " + end.Report
		}
		if err = e.deps.Tasks.Fail(ctx, row.Token, codeQuarantined, cause); errors.Is(err, callback.ErrGone) {
			err = nil
		}
	} else {
		err = e.succeed(ctx, row.Token, end)
	}
	if err != nil {
		return fmt.Errorf("tell execution %s the end of file %s: %w", row.Execution, row.FileID, err)
	}
	return e.forget(ctx, row)
}

// forget notes that nobody waits under a token any more.
func (e *Entrypoint) forget(ctx context.Context, row control.ExecutionRow) error {
	_, err := e.change(ctx, row.FileID, func(now *control.ExecutionRow) (bool, error) {
		if now.Token != row.Token {
			return false, nil
		}
		now.Token = ""
		return true, nil
	})
	return err
}

// handle notes and tells the ends of files. An error has it called again.
func (e *Entrypoint) handle(ctx context.Context, r eventlog.Record) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelEnds)
	for _, end := range endsOf(r.Table, r.Event) {
		group.Go(func() error { return e.ended(ctx, end) })
	}
	return group.Wait()
}

func (e *Entrypoint) ended(ctx context.Context, f fileEnd) error {
	row, err := e.change(ctx, f.id, func(row *control.ExecutionRow) (bool, error) {
		known, err := decodeEnd(row.End)
		switch {
		case err != nil || known.final():
			return false, err
		case f.again:
			row.End = nil
			return known.Outcome != "", nil
		case len(f.parts) > 0:
			row.Parts = f.parts
			return true, nil
		}
		row.End, err = f.end.encode()
		return true, err
	})
	switch {
	case err != nil:
		return err
	case len(f.parts) > 0:
		return e.endParts(ctx, row.FileID)
	case f.again:
		return nil
	}
	if err := e.answer(ctx, row); err != nil {
		return err
	}
	object, err := e.router.deps.Objects.Object(ctx, f.id)
	if errors.Is(err, control.ErrNotFound) || err == nil && object.Part.IsZero() {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find out whether file %s is a part: %w", f.id, err)
	}
	return e.endParts(ctx, object.Part.FileID)
}

// endParts ends a transaction file once all of its parts have ended. Whichever comes
// last, the last part or the word that there are parts, sees all of them.
func (e *Entrypoint) endParts(ctx context.Context, file dms.FileID) error {
	row, err := e.deps.Executions.Execution(ctx, file)
	if errors.Is(err, control.ErrNotFound) || err == nil && len(row.Parts) == 0 {
		return nil // the word is still to come
	}
	if err != nil {
		return err
	}
	ends := make([]End, 0, len(row.Parts))
	for _, part := range row.Parts {
		p, err := e.deps.Executions.Execution(ctx, part)
		if err != nil && !errors.Is(err, control.ErrNotFound) {
			return err
		}
		end, err := decodeEnd(p.End)
		if err != nil || end.Outcome == "" {
			return err // it is still under way
		}
		ends = append(ends, end)
	}
	return e.ended(ctx, fileEnd{id: file, end: endOfParts(file, ends)})
}

// keep looks at all who wait: it tells those that were not told yet, keeps the others
// waiting, and lets those go that are too many, or have waited too long.
func (e *Entrypoint) keep(ctx context.Context) error {
	const page = 100
	waiting, after := 0, dms.FileID("")
	for {
		rows, err := e.deps.Executions.Waiting(ctx, after, page)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.FileID
			if len(row.End) > 0 {
				err = e.answer(ctx, row)
			} else {
				waiting++
				err = e.keepOne(ctx, row, waiting)
			}
			if err != nil {
				return err
			}
		}
		if len(rows) == 0 {
			return nil
		}
	}
}

func (e *Entrypoint) keepOne(ctx context.Context, row control.ExecutionRow, n int) error {
	waits := e.router.deps.Now().Sub(row.Since)
	switch {
	case n > e.cfg.MaxHeld && waits > e.cfg.Beat, waits > e.cfg.MaxWait:
		end := End{Outcome: Held, FileID: row.FileID, Detail: "the file still waits for its table; `blotter explain` tells what became of it"}
		if err := e.succeed(ctx, row.Token, end); err != nil {
			return err
		}
		return e.forget(ctx, row)
	case waits < e.cfg.Beat/2:
		return nil // it has only just begun
	}
	err := e.deps.Tasks.Beat(ctx, row.Token)
	if errors.Is(err, callback.ErrGone) {
		return e.forget(ctx, row)
	}
	return err
}

// keeping runs keep at once and then at every beat.
func (e *Entrypoint) keeping(ctx context.Context) error {
	ticker := time.NewTicker(e.cfg.Beat)
	defer ticker.Stop()
	for {
		if err := e.keep(ctx); err != nil && ctx.Err() == nil {
			e.router.deps.Logger.ErrorContext(ctx, "keep executions waiting", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
