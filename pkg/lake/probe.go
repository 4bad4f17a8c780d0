package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// probe finds the rows of one data file that a batch meets, window by window.
type probe struct {
	file     *dataFile
	hidden   bitmap   // rows that position deletes hide already
	loaded   bool     // hidden is read
	replaced []int64  // rows that the batch replaces or removes, ascending once finished
	from     int64    // rows before this one have been met by earlier windows
	gone     RowsHash // of the replaced rows, each as often as it was met
	twice    bool     // some row was met more than once: gone says nothing
}

// joinColumns are the places, by column, of what a probe reads of a file.
type joinColumns struct {
	key    []registry.Column
	rawKey bool // the key is one binary column that holds the encoded key
	origin originColumns
}

// originColumns say where a row came from.
type originColumns struct{ file, row, position registry.Column }

// origin is where a row came from: file, row there, and position.
type origin struct {
	file, pos []byte
	row       int64
}

func tableJoin(key []registry.Column, prov registry.Provenance) joinColumns {
	fields := provenanceFields(prov)
	return joinColumns{key: key, origin: originColumns{file: fields[0], row: fields[1], position: fields[2]}}
}

// match tells of a row with the key of change i of a window.
type match func(i int, row int64, from origin) error

// probeFile joins one window with one data file, and tells who of both is later.
func (l *Lake) probeFile(ctx context.Context, p *probe, w *window, cols joinColumns) error {
	return l.searchFile(ctx, p, w, cols, func(i int, row int64, from origin) error {
		if !p.hidden.has(row) {
			p.meet(w, i, row, from)
		}
		return nil
	})
}

// meet takes up that a live row has the key of change i of a window: the later one
// of both stays.
func (p *probe) meet(w *window, i int, row int64, from origin) {
	switch {
	case w.dead[i]:
	case w.overtaken(i, from.pos, from.row):
		w.dead[i] = true
	default:
		p.replaced = append(p.replaced, row)
		p.gone.Add(dms.FileID(from.file), from.row)
	}
}

// hide reads which rows of the file are deleted already, once.
func (l *Lake) hide(ctx context.Context, p *probe) (err error) {
	if !p.loaded {
		p.hidden, err = l.deletedRows(ctx, p.file)
		p.loaded = err == nil
	}
	return err
}

// searchFile calls found for the rows of one data file that have a key of the window,
// deleted ones among them.
func (l *Lake) searchFile(ctx context.Context, p *probe, w *window, cols joinColumns, found match) (err error) {
	if !p.file.overlaps(w.min(), w.max()) {
		return nil
	}
	if err := l.hide(ctx, p); err != nil {
		return err
	}
	file, closer, err := l.openParquet(ctx, p.file.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	j, err := newJoin(file, cols)
	if err != nil {
		return fmt.Errorf("probe %s: %w", p.file.FilePath(), err)
	}
	if p.file.sorted {
		err = j.sorted(ctx, w, &p.from, found)
	} else {
		err = j.unsorted(ctx, w, found)
	}
	if err = errors.Join(err, j.close()); err != nil {
		return fmt.Errorf("probe %s: %w", p.file.FilePath(), err)
	}
	return nil
}

// finish puts the replaced rows in order and drops repetitions, as a file that
// is not sorted may yield them.
func (p *probe) finish() {
	slices.Sort(p.replaced)
	met := len(p.replaced)
	p.replaced = slices.Compact(p.replaced)
	p.twice = len(p.replaced) < met
}

// join reads the keys of a file and, of matching rows only, their place.
type join struct {
	keys  *keyedReader
	place *rowReader // as originColumns
	raw   bool
	key   []byte
}

func newJoin(file *parquet.File, cols joinColumns) (*join, error) {
	keys, err := newKeyedReader(file, cols.key, cols.key)
	if err != nil {
		return nil, err
	}
	place, err := newRowReader(file, []registry.Column{cols.origin.file, cols.origin.row, cols.origin.position})
	if err != nil {
		return nil, err
	}
	return &join{keys: keys, place: place, raw: cols.rawKey}, nil
}

func (j *join) close() error {
	return errors.Join(j.keys.closePages(), j.place.closePages())
}

// keyAt encodes the key of a row of the slab.
func (j *join) keyAt(at int) ([]byte, error) {
	if j.raw {
		return j.keys.vals[0][at].ByteArray(), nil
	}
	var err error
	j.key, err = j.keys.encodeAt(j.key[:0], at)
	return j.key, err
}

// report calls found for the row of the slab.
func (j *join) report(i, at int, found match) error {
	row := j.keys.first + int64(at)
	if err := j.place.seek(row); err != nil {
		return err
	}
	return found(i, row, origin{file: j.place.value(0).ByteArray(), row: j.place.value(1).Int64(), pos: j.place.value(2).ByteArray()})
}

// sorted joins with a file that is sorted by key, from row *from on, and leaves
// there where the next window goes on.
func (j *join) sorted(ctx context.Context, w *window, from *int64, found match) error {
	r := j.keys.rowReader
	if *from >= r.file.NumRows() {
		return nil
	}
	if err := r.seek(*from); err != nil {
		return err
	}
	at := r.at
	for i := 0; i < w.len(); {
		last, err := j.keyAt(r.n - 1)
		if err != nil {
			return err
		}
		if at >= r.n || bytes.Compare(last, w.key(i)) < 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			r.row = r.first + int64(r.n)
			ok, err := r.fill()
			if err != nil {
				return err
			}
			if !ok {
				*from = r.file.NumRows()
				return nil
			}
			at = 0
			continue
		}
		if at, err = j.search(at, w.key(i)); err != nil {
			return err
		}
		key, err := j.keyAt(at)
		if err != nil {
			return err
		}
		if !bytes.Equal(key, w.key(i)) {
			i++
			continue
		}
		if err := j.report(i, at, found); err != nil {
			return err
		}
		at++ // the key may stand there again: stay with change i
	}
	*from = r.first + int64(min(at, r.n))
	return nil
}

// search finds the first row of the slab, from at on, whose key is not below;
// the last row is known not to be.
func (j *join) search(at int, key []byte) (int, error) {
	low, high := at, j.keys.n-1
	for low < high {
		mid := (low + high) / 2
		k, err := j.keyAt(mid)
		if err != nil {
			return 0, err
		}
		if bytes.Compare(k, key) < 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

// unsorted joins with a file in any order: every row is looked up.
func (j *join) unsorted(ctx context.Context, w *window, found match) error {
	places := make(map[string]int, w.len())
	for i := range w.len() {
		places[string(w.key(i))] = i
	}
	r := j.keys.rowReader
	r.row = 0
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		ok, err := r.fill()
		if err != nil || !ok {
			return err
		}
		for at := range r.n {
			key, err := j.keyAt(at)
			if err != nil {
				return err
			}
			if i, ok := places[string(key)]; ok {
				if err := j.report(i, at, found); err != nil {
					return err
				}
			}
		}
		r.row = r.first + int64(r.n)
	}
}
