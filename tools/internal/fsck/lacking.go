package fsck

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/eventlog"
)

// advise mends the advice where events are lost for good, or may be: then it is the log that
// lacks something, and not the control store, which knows what the lost events said. What the
// archive has signed as missing is asked for only where there is a finding that it may explain.
func (l *look) advise(ctx context.Context) error {
	lacks := spansOf(l.missing)
	signed := false
	if l.deps.Gaps != nil && l.mayLack() {
		gaps, err := l.deps.Gaps(ctx)
		var wrong *archive.Wrong
		if err != nil && !errors.As(err, &wrong) && !errors.Is(err, archive.ErrEmpty) {
			return fmt.Errorf("ask the archive what it has signed as missing: %w", err)
		}
		if signed = len(gaps) > 0; signed {
			lacks = spansOf(&eventlog.MissingError{Spans: gaps})
		}
	}
	if lacks == "" {
		return nil
	}
	ends := "restore the stream from a backup that has them"
	if signed {
		ends = "the archive has signed them as missing; only a backup of the stream that has them, put in its place, ends this finding, and without one it says for ever what was lost"
	}
	for _, f := range l.report.Findings {
		switch f.Kind {
		case LogEventMissing, LogBroken, LogTrimUntold, SnapshotUnknown, RowsUnknown, StagedUnknown:
			f.Do = fmt.Sprintf("the log lacks events (sequence %s): %s", lacks, ends)
		case ControlDiffers, FileStuck:
			f.Do = fmt.Sprintf("it is the log that lacks events (sequence %s), and the control store that knows what they said: keep the control store, and do not write it anew from this log; %s", lacks, ends)
		}
	}
	return nil
}

// mayLack reports whether a finding may come from events that the log lost.
func (l *look) mayLack() bool {
	for _, f := range l.report.Findings {
		switch f.Kind {
		case LogEventMissing, LogBroken, LogTrimUntold, ControlDiffers, FileStuck, SnapshotUnknown, RowsUnknown, StagedUnknown:
			return true
		}
	}
	return false
}

// maxNamed bounds the spans that an advice names.
const maxNamed = 5

// spansOf names where events lack.
func spansOf(m *eventlog.MissingError) string {
	if m == nil {
		return ""
	}
	var names []string
	for _, s := range m.Spans[:min(len(m.Spans), maxNamed)] {
		names = append(names, s.String())
	}
	if more := len(m.Spans) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more places", more))
	}
	return strings.Join(names, ", ")
}
