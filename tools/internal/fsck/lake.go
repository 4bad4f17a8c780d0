package fsck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
)

// inLake is what the lake tells of a table.
type inLake struct {
	contents *lake.Contents // nil: there is no such table
	missing  []lake.Missing
	broken   error // its metadata cannot be read
}

func (l *look) lookAtLake(ctx context.Context) (*inLake, error) {
	in := &inLake{}
	if l.deps.Lake == nil {
		return in, nil
	}
	var err error
	in.missing, err = l.deps.Lake.Missing(ctx, l.id)
	if errors.Is(err, lake.ErrNoTable) {
		return in, nil
	}
	if err == nil && !slices.ContainsFunc(in.missing, func(m lake.Missing) bool { return m.What != "data file" && m.Current }) {
		var c lake.Contents
		if c, err = l.deps.Lake.Contents(ctx, l.id); err == nil {
			in.contents = &c
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, err
	}
	in.broken = err
	return in, nil
}

const restoreCatalog = "with the system stopped, put the catalog (catalog.db, or the table in Glue) back from a backup; or have DMS load the table anew; " +
	"or, without full loads, have the lake tell of it, and resume it with --accept-loss (the lake tells by pausing the table, or by `blotter table maintain`; " +
	"a table that is paused for another reason is resumed before that): " +
	"until then it takes no changes; "

// lost tells of commits up to a token that the table lacks, which has those up to another:
// not of a loss that was accepted, of which checkAccepted tells.
func (l *look) lost(f Finding, has, upTo uint64) {
	if loss := l.facts.losses.Last(); has >= loss.From && upTo <= loss.To {
		return
	}
	f.Kind, f.Do = SnapshotLost, restoreCatalog+l.rowsAgain()
	l.add(f)
}

// checkAccepted notes files whose rows the table lacks since an operator accepted that.
func (l *look) checkAccepted() {
	n, loss := l.facts.lost(), l.facts.losses.Last()
	if n == 0 {
		return
	}
	l.add(Finding{
		Kind: LossAccepted, Note: true,
		Detail: fmt.Sprintf("an operator accepted that the lake has lost what was committed, last what was above token %d, up to %d; files of then that did not come again: %d", loss.From, loss.To, n),
		Do:     fmt.Sprintf("`blotter unskip '%s' --lost` takes its change files in again; load files come back with a load alone", l.id),
	})
}

// rowsAgain says how to come to rows that the lake does not give.
func (l *look) rowsAgain() string {
	return fmt.Sprintf("`blotter replay '%s' --rows --out DIR` makes the rows once more from the raw files", l.id)
}

const restore = "restore it from a backup or from another version of the object; "

// checkMissing tells of objects that the table needs and that are gone.
func (l *look) checkMissing() {
	again := l.rowsAgain()
	if l.lake.broken != nil {
		l.add(Finding{Kind: LakeUnreadable, Detail: l.lake.broken.Error(), Do: restore + again})
	}
	for _, m := range l.lake.missing {
		which := "the table"
		if m.Snapshot != 0 {
			which = fmt.Sprintf("snapshot %d", m.Snapshot)
		}
		if m.Current && m.Snapshot != 0 {
			which += ", and the table as it is"
		}
		l.add(Finding{Kind: LakeObjectGone, Object: m.Key, Detail: fmt.Sprintf("a %s that %s needs is gone", m.What, which), Do: restore + again})
	}
}

// checkLake: the table's objects are there, and its snapshots are those of the log.
func (l *look) checkLake(ctx context.Context) error {
	l.checkAccepted()
	l.checkMissing()
	c := l.lake.contents
	behind, err := l.isBehind(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		if behind && l.lake.broken == nil && len(l.lake.missing) == 0 {
			l.lost(Finding{Detail: fmt.Sprintf("a commit was made under token %d by the log, and the catalog has no such table", l.facts.newestBy)}, 0, l.facts.newestBy)
		}
		return nil
	}
	for _, s := range c.Snapshots {
		token, err := strconv.ParseUint(s.Token, 10, 64)
		switch {
		case l.facts.snapshots[s.ID]:
		case err == nil && l.facts.tokens[token] && l.state != nil && l.state.Grant != nil && l.state.Grant.Token == token:
			// It was committed, and is about to be said.
		case err != nil:
			l.add(Finding{Kind: SnapshotUnknown, Object: strconv.FormatInt(s.ID, 10), Detail: fmt.Sprintf("no service of Blotter made it: its operation is %q", s.Strategy),
				Do: fmt.Sprintf("find out which engine writes to the table; `blotter replay '%s' --rows` tells whether rows differ", l.id)})
		default:
			do := fmt.Sprintf("`blotter replay '%s'` tells whether the log is whole; if it is, another system has published to this lake, or log and control store are older than it", l.id)
			if token > l.facts.newestToken() {
				do = "no grant of this log has come to that token: the lake is that of another system, or log and control store are, or are older than it. " +
					"Put together what belongs together, from a backup if need be; a new system begins with a lake of its own"
			}
			l.add(Finding{Kind: SnapshotUnknown, Object: strconv.FormatInt(s.ID, 10), Detail: fmt.Sprintf("it carries token %d, and no event tells of it", token), Do: do})
		}
	}
	if behind {
		l.lost(Finding{Object: strconv.FormatInt(l.facts.newest, 10),
			Detail: fmt.Sprintf("the log tells of token %d, the table is at token %d: it, or its catalog, was set back", l.facts.newestBy, c.Token)}, c.Token, l.facts.newestBy)
	}
	if c.SetBackFrom > 0 {
		l.lost(Finding{Detail: fmt.Sprintf("the table lacks what was committed above token %d, up to token %d: it, or its catalog, was lost, or put back from an older copy, or an older snapshot was made the current one", c.SetBackTo, c.SetBackFrom)}, c.SetBackTo, c.SetBackFrom)
	}
	if loss := l.facts.losses.Last(); c.SetBackFrom == 0 && l.facts.newestBy <= loss.To && loss.From < c.Token && c.Token <= loss.To {
		l.add(Finding{
			Kind:   LakePutBack,
			Detail: fmt.Sprintf("the table has what was committed up to token %d, and the loss of all above token %d was accepted: it, or its catalog, was put back after that", c.Token, loss.From),
			Do: fmt.Sprintf("put the copy back that the table had last; or, if nothing was taken in again since, have the lake tell of this one "+
				"(`blotter table maintain '%s'`, for which a paused table is resumed), and accept it (`blotter resume '%s' --accept-loss`)", l.id, l.id),
		})
	}
	if c.Orphans.Old > 0 {
		l.add(Finding{Kind: LakeOrphans, Note: true, Detail: fmt.Sprintf("%d objects (%d bytes) that nothing refers to", c.Orphans.Old, c.Orphans.OldBytes), Do: "maintenance removes them"})
	}
	return nil
}

// newestRows opens the newest snapshot that the log tells of: that of the newest commit,
// where a fence after it was lost.
func (l *look) newestRows(ctx context.Context) (*lake.RowSet, error) {
	set, err := l.deps.Lake.RowsAt(ctx, l.id, l.facts.newest)
	if errors.Is(err, lake.ErrNoSnapshot) && l.facts.newestCommit != l.facts.newest {
		return l.deps.Lake.RowsAt(ctx, l.id, l.facts.newestCommit)
	}
	return set, err
}

// isBehind reports whether the table lacks a commit that the log tells of. The lake was read
// first, and may have gone on since.
func (l *look) isBehind(ctx context.Context) (bool, error) {
	if c := l.lake.contents; l.lake.broken != nil || c != nil && c.Token >= l.facts.newestBy || l.facts.newestBy == 0 {
		return false, nil
	}
	if l.deps.Lake == nil {
		return true, nil
	}
	token, err := l.deps.Lake.Token(ctx, l.id)
	if errors.Is(err, lake.ErrNoTable) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the token of the table: %w", err)
	}
	return token < l.facts.newestBy, nil
}

// checkRows: every row comes from a file that was published.
func (l *look) checkRows(ctx context.Context) error {
	if l.lake.contents == nil || l.facts.newest == 0 {
		return nil
	}
	set, err := l.newestRows(ctx)
	if errors.Is(err, lake.ErrNoSnapshot) || errors.Is(err, lake.ErrNoTable) {
		return nil // told as lost, or a newer one is about to be said
	}
	if err != nil {
		return err
	}
	files, err := set.Files(ctx)
	if errors.Is(err, objects.ErrNotFound) {
		return nil // told as gone
	}
	if err != nil {
		l.add(Finding{Kind: LakeUnreadable, Detail: err.Error(), Do: restore + fmt.Sprintf("`blotter replay '%s' --rows` tells more", l.id)})
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(files)) {
		if l.facts.inForce[id] {
			continue
		}
		detail := "no event tells that the file was published"
		if l.facts.published[id] > 0 {
			detail = "the file was published for a generation that was replaced"
		}
		l.add(Finding{Kind: RowsUnknown, FileID: id, Detail: fmt.Sprintf("%d rows come from it, and %s", files[id], detail),
			Do: fmt.Sprintf("`blotter replay '%s' --rows` names the rows", l.id)})
	}
	return nil
}
