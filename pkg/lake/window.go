package lake

import (
	"bytes"
	"context"

	"github.com/openblotter/blotter/pkg/dms"
)

// window is a run of the latest changes of a batch, in key order, that is
// probed against the table at once.
type window struct {
	keys    []byte
	keyEnd  []int
	pos     []byte
	posEnd  []int
	rows    []int64
	files   []*stagedFile
	indexes []int64 // the change's row in its staged file
	// dead marks changes that the table or a remembered delete has overtaken.
	dead []bool
	// tied marks changes that tie with a row or a delete of the table, passed those
	// that the table has a later one of without a tie.
	tied   []bool
	passed []bool
	// met marks changes for which the engine has named a row of the table.
	met []bool
}

func (w *window) len() int { return len(w.rows) }

func (w *window) key(i int) []byte {
	if i == 0 {
		return w.keys[:w.keyEnd[0]]
	}
	return w.keys[w.keyEnd[i-1]:w.keyEnd[i]]
}

func (w *window) position(i int) []byte {
	if i == 0 {
		return w.pos[:w.posEnd[0]]
	}
	return w.pos[w.posEnd[i-1]:w.posEnd[i]]
}

func (w *window) min() []byte { return w.key(0) }

func (w *window) max() []byte { return w.key(w.len() - 1) }

func (w *window) reset() {
	w.keys, w.keyEnd, w.pos, w.posEnd = w.keys[:0], w.keyEnd[:0], w.pos[:0], w.posEnd[:0]
	w.rows, w.files, w.indexes, w.dead = w.rows[:0], w.files[:0], w.indexes[:0], w.dead[:0]
	w.tied, w.passed = w.tied[:0], w.passed[:0]
}

func (w *window) add(c *stagedChange) {
	w.keys = append(w.keys, c.key...)
	w.keyEnd = append(w.keyEnd, len(w.keys))
	w.pos = append(w.pos, c.pos...)
	w.posEnd = append(w.posEnd, len(w.pos))
	w.rows = append(w.rows, c.row)
	w.files = append(w.files, c.from)
	w.indexes = append(w.indexes, c.index)
	w.dead = append(w.dead, false)
	w.tied, w.passed = append(w.tied, false), append(w.passed, false)
	c.from.part.ties += c.ties
}

// unmet gives the changes for which no row was named.
func (w *window) unmet() *window {
	out := &window{}
	for i, met := range w.met {
		if met {
			continue
		}
		out.keys = append(out.keys, w.key(i)...)
		out.keyEnd = append(out.keyEnd, len(out.keys))
		out.rows = append(out.rows, w.rows[i])
		out.files = append(out.files, w.files[i])
		out.indexes = append(out.indexes, w.indexes[i])
	}
	return out
}

// fill takes the next changes of a fold; false when there are none.
func (w *window) fill(ctx context.Context, f *fold, size int) (bool, error) {
	w.reset()
	for w.len() < size {
		c, err := f.next(ctx)
		if err != nil {
			return false, err
		}
		if c == nil {
			break
		}
		w.add(c)
	}
	return w.len() > 0, nil
}

// overtaken reports whether a row or a delete of the table at this place makes
// change i obsolete, and notes whether they tie. The same place is the same change: it
// is there already.
func (w *window) overtaken(i int, pos []byte, row int64) bool {
	is := later(w.position(i), w.rows[i], pos, row)
	if dms.Tied(w.position(i), pos) {
		w.tied[i] = true
	} else if !is && !bytes.Equal(w.position(i), pos) {
		w.passed[i] = true
	}
	return !is
}

// at reports whether change i is the one at this place.
func (w *window) at(i int, pos []byte, row int64) bool {
	return w.rows[i] == row && bytes.Equal(w.position(i), pos)
}

// countTies counts, of each change, a tie with what the table has last of its key: a
// row and a remembered delete of one key are one tie, and so the count is the same in
// whatever order files come.
func (w *window) countTies() {
	for i, tied := range w.tied {
		if tied && !w.passed[i] {
			w.files[i].part.ties++
		}
	}
}
