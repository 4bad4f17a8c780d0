package fsck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/eventlog"
)

// advise mends the advice where events are lost for good, or may be: then it is the log that
// lacks something, and not the control store, which knows what the lost events said. What the
// archive has signed as missing is asked for only where there is a finding that it may explain.
func (l *look) advise(ctx context.Context) error {
	if !l.mayLack() {
		return nil
	}
	var lost []eventlog.Span // for good
	if l.deps.Gaps != nil {
		gaps, err := l.deps.Gaps(ctx)
		var wrong *archive.Wrong
		if err != nil && !errors.As(err, &wrong) && !errors.Is(err, archive.ErrEmpty) {
			return fmt.Errorf("ask the archive what it has signed as missing: %w", err)
		}
		lost = gaps
	}
	var now []eventlog.Span // which the log lacks, and nobody has signed
	if l.missing != nil {
		now = slices.DeleteFunc(slices.Clone(l.missing.Spans), func(s eventlog.Span) bool {
			return slices.ContainsFunc(lost, func(gap eventlog.Span) bool { return gap.First <= s.First && s.Last <= gap.Last })
		})
	}
	for _, f := range l.report.Findings {
		if mayComeOfALack(f.Kind) {
			f.Do = adviceOnLack(f, now, lost, l.missing != nil)
		}
	}
	return nil
}

// adviceOnLack is the advice on a finding that may come of events which the log lacks now, or
// of those that are lost for good. Where it lacks none of these any more, as behind a
// checkpoint, the finding may have another reason as well, and its own advice stands.
func adviceOnLack(f *Finding, now, lost []eventlog.Span, lacks bool) string {
	keep := ""
	if f.Kind == ControlDiffers || f.Kind == FileStuck {
		keep = ", and it is the control store that knows what they said: keep the control store, and do not write it anew from this log"
	}
	const forGood = "the archive has signed them as missing; only a backup of the stream that has them, put in its place, ends this finding, and without one it says for ever what was lost"
	switch {
	case len(now) > 0:
		return fmt.Sprintf("the log lacks events (sequence %s)%s; restore the stream from a backup that has them", spansOf(now), keep)
	case len(lost) > 0 && lacks:
		return fmt.Sprintf("the log lacks events (sequence %s)%s; %s", spansOf(lost), keep, forGood)
	case len(lost) > 0:
		return fmt.Sprintf("%s; but if it comes of events that were lost before (sequence %s)%s; %s", f.Do, spansOf(lost), keep, forGood)
	}
	return f.Do
}

// mayLack reports whether a finding may come from events that the log lost.
func (l *look) mayLack() bool {
	return slices.ContainsFunc(l.report.Findings, func(f *Finding) bool { return mayComeOfALack(f.Kind) })
}

func mayComeOfALack(kind string) bool {
	switch kind {
	case LogEventMissing, LogBroken, LogTrimUntold, ControlDiffers, FileStuck, SnapshotUnknown, RowsUnknown, StagedUnknown:
		return true
	}
	return false
}

// maxNamed bounds the spans that an advice names.
const maxNamed = 5

// spansOf names where events lack.
func spansOf(spans []eventlog.Span) string {
	var names []string
	for _, s := range spans[:min(len(spans), maxNamed)] {
		names = append(names, s.String())
	}
	if more := len(spans) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("and %d more places", more))
	}
	return strings.Join(names, ", ")
}
