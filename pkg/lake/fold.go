package lake

import (
	"bytes"
	"context"
	"errors"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// fold merges the staged changes of all parts and yields, in key order, the
// latest change of each key by (position, row). The others it marks dead. It reads
// at most as many parts at once as it has fan-in.
type fold struct {
	heap    minHeap[folding]
	all     []changeCursor
	group   []changeCursor // those that stand on the key of the last winner
	started bool

	// Where it merges in passes: how many cursors at once, and the runs in between.
	// 0: all at once.
	fanIn   int
	scratch scratch
	opened  []changeCursor // of staged files
	files   []*stagedFile  // by their numbers in runs
	numbers map[*stagedFile]int
}

// folding is a cursor in the heap, beside what it stands on.
type folding struct {
	*stagedChange
	cursor changeCursor
}

func newFold(cursors []changeCursor) *fold {
	f := &fold{all: cursors}
	f.heap.less = func(a, b folding) bool { return bytes.Compare(a.key, b.key) < 0 }
	return f
}

func (l *Lake) newFold(parts []*part, spec registry.Table) *fold {
	var cursors []changeCursor
	for _, p := range parts {
		for _, files := range [][]*stagedFile{p.rows, p.deletes} {
			if len(files) > 0 {
				cursors = append(cursors, l.newStagedCursor(p, files, spec))
			}
		}
	}
	f := newFold(cursors)
	f.fanIn, f.scratch.dir, f.opened, f.numbers = l.cfg.MergeFanIn, l.cfg.ScratchDir, cursors, map[*stagedFile]int{}
	return f
}

// next gives the winner of the next key, valid until the next call; nil at the end.
func (f *fold) next(ctx context.Context) (*stagedChange, error) {
	ahead := f.group
	if !f.started {
		if err := f.reduce(ctx); err != nil {
			return nil, err
		}
		f.started, ahead = true, f.all
	}
	for _, c := range ahead {
		ok, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if ok {
			f.heap.push(folding{c.place(), c})
		}
	}
	f.group = f.group[:0]
	if f.heap.len() == 0 {
		return nil, nil
	}
	winner := f.heap.pop()
	f.group = append(f.group, winner.cursor)
	for f.heap.len() > 0 && bytes.Equal(f.heap.top().key, winner.key) {
		c := f.heap.pop()
		f.group = append(f.group, c.cursor)
		if later(c.pos, c.row, winner.pos, winner.row) {
			winner, c = c, winner
		}
		// Only what ties with the last change counts, and so the count is the same in
		// whatever order they come.
		if dms.Tied(winner.pos, c.pos) {
			winner.ties += c.ties + 1
		}
		c.from.kill(c.index)
	}
	return winner.stagedChange, nil
}

// later compares two places in the order of a table's rows.
func later(posA []byte, rowA int64, posB []byte, rowB int64) bool {
	if c := bytes.Compare(posA, posB); c != 0 {
		return c > 0
	}
	return rowA > rowB
}

// drain audits staged files without a key: they are walked over, nothing is folded.
// Each row is told.
func (f *fold) drain(ctx context.Context, tell func(file dms.FileID, row int64)) error {
	for _, c := range f.all {
		for {
			ok, err := c.next(ctx)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			change := c.place()
			tell(change.from.part.manifest.FileID, change.row)
		}
	}
	return nil
}

func (f *fold) close() error {
	var errs []error
	for _, c := range f.opened {
		errs = append(errs, c.close())
	}
	errs = append(errs, f.scratch.close())
	return errors.Join(errs...)
}
