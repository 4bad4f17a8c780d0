package lake

import (
	"bytes"
	"context"
	"errors"

	"github.com/openblotter/blotter/pkg/registry"
)

// fold merges the staged changes of all parts and yields, in key order, the
// latest change of each key by (position, row). The others it marks dead.
type fold struct {
	heap    minHeap[*stagedCursor]
	all     []*stagedCursor
	group   []*stagedCursor // those that stand on the key of the last winner
	started bool
}

func (l *Lake) newFold(parts []*part, spec registry.Table) *fold {
	f := &fold{}
	f.heap.less = func(a, b *stagedCursor) bool { return bytes.Compare(a.key, b.key) < 0 }
	for _, p := range parts {
		for _, files := range [][]*stagedFile{p.rows, p.deletes} {
			if len(files) > 0 {
				f.all = append(f.all, l.newStagedCursor(p, files, spec))
			}
		}
	}
	return f
}

// next gives the winner of the next key, valid until the next call; nil at the end.
func (f *fold) next(ctx context.Context) (*stagedCursor, error) {
	ahead := f.group
	if !f.started {
		f.started, ahead = true, f.all
	}
	for _, c := range ahead {
		ok, err := c.next(ctx)
		if err != nil {
			return nil, err
		}
		if ok {
			f.heap.push(c)
		}
	}
	f.group = f.group[:0]
	if f.heap.len() == 0 {
		return nil, nil
	}
	winner := f.heap.pop()
	f.group = append(f.group, winner)
	for f.heap.len() > 0 && bytes.Equal(f.heap.top().key, winner.key) {
		c := f.heap.pop()
		f.group = append(f.group, c)
		if later(c.pos, c.row, winner.pos, winner.row) {
			winner, c = c, winner
		}
		c.file().kill(c.rows.row)
	}
	return winner, nil
}

// later compares two places in the order of a table's rows.
func later(posA []byte, rowA int64, posB []byte, rowB int64) bool {
	if c := bytes.Compare(posA, posB); c != 0 {
		return c > 0
	}
	return rowA > rowB
}

// drain audits staged files without a key: they are walked over, nothing is folded.
func (f *fold) drain(ctx context.Context) error {
	for _, c := range f.all {
		for {
			ok, err := c.next(ctx)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
		}
	}
	return nil
}

func (f *fold) close() error {
	var errs []error
	for _, c := range f.all {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
