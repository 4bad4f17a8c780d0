package fsck

import (
	"context"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// checkFailed: what was set aside lies where the log says.
func (l *look) checkFailed(ctx context.Context) error {
	for _, q := range l.facts.quarantined {
		for _, key := range []string{q.event.GetObjectKey(), q.event.GetReportKey()} {
			there, err := l.inFailed(ctx, key)
			if err != nil {
				return err
			}
			if there {
				continue
			}
			f := Finding{Kind: FailedCopyGone, FileID: dms.FileID(q.event.GetFileId()), Object: key,
				Detail: "the log says that a quarantined file's copy or report lies there", Do: "--repair writes it again, as long as the raw version is there; if that is gone, too, put either of them back from a backup"}
			if l.deps.Repair != nil && q.by.event != nil {
				f.repair = l.again(key, func(ctx context.Context) error { return l.deps.Repair.Quarantine(ctx, q.by.record, q.by.event) })
			}
			l.add(f)
		}
	}
	for _, r := range l.facts.rejected {
		for _, key := range []string{r.event.GetRejectedKey(), r.event.GetReportKey()} {
			there, err := l.inFailed(ctx, key)
			if err != nil {
				return err
			}
			if there {
				continue
			}
			l.rowsGone(r, key)
		}
	}
	return nil
}

// rowsGone tells of rejected rows, or a report of them, that are gone.
func (l *look) rowsGone(r rejected, key string) {
	f := Finding{Kind: RejectedCopyGone, FileID: dms.FileID(r.event.GetFileId()), Object: key,
		Detail: "the log says that rows which were set aside, or their report, lie there", Do: "--repair writes them again, as long as the staged output is there; if that is gone, too, put either of them back from a backup"}
	if l.deps.Repair != nil && r.by != nil {
		id, report := l.id, r.event.GetReportKey()
		f.repair = l.again(key, func(ctx context.Context) error { return l.deps.Repair.KeepRejected(ctx, id, []string{report}, r.by) })
	}
	l.add(f)
}

// inFailed tells whether an object lies in the failed bucket; one without a key need not.
func (l *look) inFailed(ctx context.Context, key string) (bool, error) {
	if key == "" {
		return true, nil
	}
	_, err := l.deps.Failed.Stat(ctx, key)
	if errors.Is(err, objects.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s in the failed bucket: %w", key, err)
	}
	return true, nil
}

// again has an object written again, and sees whether it is there.
func (l *look) again(key string, write func(context.Context) error) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if err := write(ctx); err != nil {
			return "", err
		}
		there, err := l.inFailed(ctx, key)
		if err == nil && !there {
			err = errors.New("it is not there after all: what it is made from is gone. Put that back from a backup (the raw version of the file, or its staged output) and repair again, " +
				"or put a copy of the object itself in its place: nothing else ends this finding, since the log says for ever that it lay there")
		}
		return "it was written again", err
	}
}
