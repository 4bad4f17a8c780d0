package lake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// claims are the position deletes that the engine computed for the parts of a
// publication, by the path of the data file. They say where to look and are taken for
// no more: each row that is named must be live and have the key of a change, a key for
// which none is named is looked up, and which of both is later is told from the row
// itself. So a wrong engine is refused (CodePositionDeletes), and what is published is
// what the curator would have found alone.
type claims map[string]*claim

// claim is what the parts say of one data file.
type claim struct {
	files  []claimed
	rows   []claimedRow // ascending, each once; read when first needed
	at     int          // the first that no window has met
	loaded bool
	// rest looks up the keys of which the claims say nothing.
	rest *probe
}

// claimed is one file of position deletes.
type claimed struct {
	*stagedFile
	dataFile string
}

// claimedRow is a row of the data file, and which of the claim's files names it.
type claimedRow struct {
	row  int64
	file int
}

// readClaims gives the claims of the parts; nil if they are not of the table's
// snapshot, or not all of them have some, so that the curator has to search.
func (b *batch) readClaims(ctx context.Context) (claims, error) {
	current := b.tbl.CurrentSnapshot()
	if current == nil {
		return nil, nil
	}
	out := claims{}
	for _, p := range b.probes {
		if !p.file.sorted {
			return nil, nil
		}
		out[p.file.FilePath()] = &claim{rest: &probe{file: p.file}}
	}
	some := false
	for _, p := range b.parts {
		d := p.manifest.PositionDeletes
		switch {
		case len(p.rows)+len(p.deletes) == 0:
			continue
		case d == nil:
			return nil, nil
		case d.SnapshotID != current.SnapshotID:
			b.lake.log.InfoContext(ctx, "position deletes are of another snapshot", "table", b.req.Spec.ID.String(),
				"file", string(p.manifest.FileID), "snapshot", d.SnapshotID, "current", current.SnapshotID)
			return nil, nil
		}
		some = true
		for i, f := range d.Files {
			c := out[f.DataFile]
			if c == nil {
				return nil, p.fault(CodePositionDeletes, f.Key, 0, "it names rows of %s, which is no data file of snapshot %d", f.DataFile, d.SnapshotID)
			}
			c.files = append(c.files, claimed{p.positionFiles[i], f.DataFile})
		}
	}
	if !some {
		return nil, nil
	}
	return out, nil
}

// meetClaims is what probing is for a window, where there are claims.
func (b *batch) meetClaims(ctx context.Context, w *window, cols joinColumns) error {
	w.met = append(w.met[:0], make([]bool, w.len())...)
	for _, p := range b.probes {
		if c := b.claims[p.file.FilePath()]; len(c.files) > 0 {
			if err := b.meetClaim(ctx, p, c, w, cols); err != nil {
				return err
			}
		}
	}
	rest := w.unmet()
	if rest.len() == 0 {
		return nil
	}
	for _, p := range b.probes {
		looked := b.claims[p.file.FilePath()].rest
		if p.loaded {
			looked.hidden, looked.loaded = p.hidden, true
		}
		err := b.lake.searchFile(ctx, looked, rest, cols, func(i int, row int64, _ origin) error {
			if looked.hidden.has(row) {
				return nil
			}
			f := rest.files[i]
			return f.part.fault(CodePositionDeletes, f.Key, rest.indexes[i]+1, "row %d of %s has its key, and no position delete names it", row, p.file.FilePath())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// meetClaim compares the rows that are named of one data file with the changes of a
// window, both in the order of keys.
func (b *batch) meetClaim(ctx context.Context, p *probe, c *claim, w *window, cols joinColumns) (err error) {
	if !p.file.overlaps(w.min(), w.max()) {
		return nil
	}
	if err := b.loadClaim(ctx, p, c); err != nil || c.at == len(c.rows) {
		return err
	}
	file, closer, err := b.lake.openParquet(ctx, p.file.FilePath())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	j, err := newJoin(file, cols)
	if err != nil {
		return fmt.Errorf("look at rows of %s: %w", p.file.FilePath(), err)
	}
	defer func() { err = errors.Join(err, j.close()) }()
	for from := 0; c.at < len(c.rows); c.at++ {
		if c.at%slabRows == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row := c.rows[c.at].row
		if err := j.keys.seek(row); err != nil {
			return fmt.Errorf("look at rows of %s: %w", p.file.FilePath(), err)
		}
		key, err := j.keyAt(j.keys.at)
		if err != nil {
			return fmt.Errorf("look at rows of %s: %w", p.file.FilePath(), err)
		}
		if bytes.Compare(key, w.max()) > 0 {
			return nil // it is for another window
		}
		i := from + sort.Search(w.len()-from, func(i int) bool { return bytes.Compare(w.key(from+i), key) >= 0 })
		switch {
		case i == w.len() || !bytes.Equal(w.key(i), key):
			return c.fault(c.at, "the file changes no row with the key of row %d of %s", row, p.file.FilePath())
		case p.hidden.has(row):
			return c.fault(c.at, "row %d of %s is deleted already", row, p.file.FilePath())
		}
		w.met[i], from = true, i
		err = j.report(i, j.keys.at, func(i int, row int64, from origin) error {
			p.meet(w, i, row, from)
			return nil
		})
		if err != nil {
			return fmt.Errorf("look at rows of %s: %w", p.file.FilePath(), err)
		}
	}
	c.rows, c.at = nil, 0
	return nil
}

// checkClaims refuses rows that were named, and whose keys no change has.
func (b *batch) checkClaims(ctx context.Context) error {
	for _, p := range b.probes {
		c := b.claims[p.file.FilePath()]
		if c == nil || len(c.files) == 0 {
			continue
		}
		if err := b.loadClaim(ctx, p, c); err != nil {
			return err
		}
		if c.at < len(c.rows) {
			return c.fault(c.at, "the file changes no row with the key of row %d of %s", c.rows[c.at].row, p.file.FilePath())
		}
	}
	return nil
}

func (c *claim) fault(at int, format string, args ...any) error {
	f := c.files[c.rows[at].file]
	return f.part.fault(CodePositionDeletes, f.Key, 0, format, args...)
}

// loadClaim reads the rows that are named of one data file, once.
func (b *batch) loadClaim(ctx context.Context, p *probe, c *claim) error {
	if c.loaded {
		return nil
	}
	for n := range c.files {
		if err := b.lake.readClaimed(ctx, p.file, c, n); err != nil {
			return err
		}
	}
	if len(c.files) > 1 { // two files may change the same row
		slices.SortFunc(c.rows, func(a, b claimedRow) int { return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.file, b.file)) })
		c.rows = slices.CompactFunc(c.rows, func(a, b claimedRow) bool { return a.row == b.row })
	}
	c.loaded = true
	return b.lake.hide(ctx, p)
}

// readClaimed reads file n of a claim and checks what it says of itself.
func (l *Lake) readClaimed(ctx context.Context, data *dataFile, c *claim, n int) (err error) {
	f := c.files[n]
	open, err := transform.OpenStaged(ctx, l.staging, f.StagedParquet)
	if err != nil {
		return f.auditFault(err)
	}
	defer func() { err = errors.Join(err, open.Close()) }()
	r, err := newRowReader(open.File(), []registry.Column{transform.PositionPath, transform.PositionRow})
	if err != nil {
		return fmt.Errorf("read position deletes %s: %w", f.Key, err)
	}
	defer func() { err = errors.Join(err, r.closePages()) }()
	last := int64(-1)
	for {
		ok, err := r.next()
		if err != nil {
			return fmt.Errorf("read position deletes %s: %w", f.Key, err)
		}
		if !ok {
			break
		}
		row := r.value(1).Int64()
		switch {
		case string(r.value(0).ByteArray()) != f.dataFile:
			return f.part.fault(CodePositionDeletes, f.Key, r.row+1, "it names a row of another data file than the manifest says")
		case row <= last:
			return f.part.fault(CodePositionDeletes, f.Key, r.row+1, "row %d of the data file does not follow row %d", row, last)
		case row >= data.Count():
			return f.part.fault(CodePositionDeletes, f.Key, r.row+1, "row %d of %s is none of its %d", row, f.dataFile, data.Count())
		}
		last = row
		c.rows = append(c.rows, claimedRow{row, n})
	}
	if r.row != f.Rows {
		return f.part.fault(CodePositionDeletes, f.Key, 0, "%d rows, the manifest says %d", r.row, f.Rows)
	}
	return nil
}
