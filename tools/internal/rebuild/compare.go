package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/spill"
)

// How a row of the lake differs from the one that was rebuilt.
const (
	Missing   = "missing"   // the lake lacks it
	Surplus   = "surplus"   // the lake alone has it
	Different = "different" // both have one of its key
)

// Place is where a row came from.
type Place struct {
	File dms.FileID `json:"file"`
	Row  int64      `json:"row"`
}

// Difference is one row that differs.
type Difference struct {
	Kind string `json:"kind"`
	// Key are the key's values by column, as text; without a primary key it is empty,
	// and the place tells the row.
	Key []KeyColumn `json:"key,omitempty"`
	// Rebuilt and Lake are where the two rows came from; nil where there is none.
	Rebuilt *Place `json:"rebuilt,omitempty"`
	Lake    *Place `json:"lake,omitempty"`
	// Columns are those that differ, provenance among them; of a row that only one
	// side has there are none.
	Columns []ColumnDifference `json:"columns,omitempty"`
	// Unproven: the lake's row came from a file of which nothing is left.
	Unproven bool `json:"unproven,omitempty"`

	key []byte
}

// KeyColumn is one column of a key.
type KeyColumn struct {
	Column string `json:"column"`
	Value  string `json:"value"`
}

// ColumnDifference is one column in which two rows of a key differ. The values are
// nil where it is null, and where values are not to be shown.
type ColumnDifference struct {
	Column  string  `json:"column"`
	Rebuilt *string `json:"rebuilt,omitempty"`
	Lake    *string `json:"lake,omitempty"`
}

// Comparison is what comparing two tables came to.
type Comparison struct {
	RebuiltRows int64 `json:"rebuilt_rows"`
	LakeRows    int64 `json:"lake_rows"`
	Missing     int64 `json:"missing"`
	Surplus     int64 `json:"surplus"`
	Different   int64 `json:"different"`
	// Unproven counts those of the rows above that came from files of which nothing is
	// left.
	Unproven int64 `json:"unproven"`
	// Differences lists the first of them by key.
	Differences []*Difference `json:"differences,omitempty"`
}

// Equal reports whether every row is the same.
func (c *Comparison) Equal() bool { return c.Missing+c.Surplus+c.Different == 0 }

// CompareConfig bounds a comparison.
type CompareConfig struct {
	Key        []string // the primary key; none: rows are known by file and row
	Limit      int      // how many differences are listed
	ShowValues bool     // list values of the columns that differ; they are personal data
	Memory     int      // bytes of each of two sorters
	ScratchDir string
}

// Compare holds the rows of a rebuilt table against those of the lake. Both are read
// once, and again if there is a difference to tell of.
func Compare(ctx context.Context, cfg CompareConfig, rebuilt, inLake *lake.RowSet, made *Rebuilt) (c *Comparison, err error) {
	a, err := newSide(rebuilt, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("compare the rebuilt table: %w", err)
	}
	b, err := newSide(inLake, cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("compare with the lake: %w", err)
	}
	sortA, sortB := spill.New(cfg.ScratchDir, cfg.Memory), spill.New(cfg.ScratchDir, cfg.Memory)
	defer func() { err = errors.Join(err, sortA.Close(), sortB.Close()) }()
	if err := a.sort(ctx, sortA); err != nil {
		return nil, fmt.Errorf("read the rebuilt table: %w", err)
	}
	if err := b.sort(ctx, sortB); err != nil {
		return nil, fmt.Errorf("read the lake: %w", err)
	}
	c = &Comparison{RebuiltRows: sortA.Len(), LakeRows: sortB.Len()}
	if err := c.merge(ctx, cfg, sortA, sortB, made.lost); err != nil {
		return nil, err
	}
	if len(c.Differences) == 0 {
		return c, nil
	}
	return c, c.tell(ctx, cfg, a, b)
}

// stream is a sorted side and where it stands.
type stream struct {
	from       *spill.Stream
	key, value []byte
	ok         bool
}

func (s *stream) next() (err error) {
	s.key, s.value, s.ok, err = s.from.Next()
	return err
}

func (c *Comparison) merge(ctx context.Context, cfg CompareConfig, sortA, sortB *spill.Sorter, lost map[dms.FileID]bool) error {
	fromA, errA := sortA.Sorted(ctx)
	fromB, errB := sortB.Sorted(ctx)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	a, b := &stream{from: fromA}, &stream{from: fromB}
	if err := errors.Join(a.next(), b.next()); err != nil {
		return err
	}
	for a.ok || b.ok {
		order := 0
		switch {
		case !a.ok:
			order = 1
		case !b.ok:
			order = -1
		default:
			order = bytes.Compare(a.key, b.key)
		}
		var err error
		switch {
		case order < 0:
			c.note(cfg, lost, Missing, a.key, a.value, nil)
			err = a.next()
		case order > 0:
			c.note(cfg, lost, Surplus, b.key, nil, b.value)
			err = b.next()
		default:
			if !bytes.Equal(a.value, b.value) {
				c.note(cfg, lost, Different, a.key, a.value, b.value)
			}
			err = errors.Join(a.next(), b.next())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Comparison) note(cfg CompareConfig, lost map[dms.FileID]bool, kind string, key, a, b []byte) {
	d := &Difference{Kind: kind, key: bytes.Clone(key)}
	if a != nil {
		d.Rebuilt = placeOf(a)
	}
	if b != nil {
		d.Lake = placeOf(b)
		if d.Unproven = lost[d.Lake.File]; d.Unproven {
			c.Unproven++
		}
	}
	switch kind {
	case Missing:
		c.Missing++
	case Surplus:
		c.Surplus++
	default:
		c.Different++
	}
	if len(c.Differences) < cfg.Limit {
		c.Differences = append(c.Differences, d)
	}
}

// seen is a row of one side whose key differs.
type seen struct {
	values map[string]string // by column; what is null is left out
	place  Place
}

// tell reads both sides again and finds keys and columns of the rows that are listed.
func (c *Comparison) tell(ctx context.Context, cfg CompareConfig, a, b *side) error {
	wanted := map[string]*Difference{}
	for _, d := range c.Differences {
		wanted[string(d.key)] = d
	}
	rowsA, err := a.find(ctx, wanted)
	if err != nil {
		return fmt.Errorf("read the rebuilt table: %w", err)
	}
	rowsB, err := b.find(ctx, wanted)
	if err != nil {
		return fmt.Errorf("read the lake: %w", err)
	}
	for _, d := range c.Differences {
		if d.Kind != Different {
			continue
		}
		x, y := rowsA[seenKey(d.key, *d.Rebuilt)], rowsB[seenKey(d.key, *d.Lake)]
		for _, column := range columnsOf(a, b) {
			vx, okx := x.values[column]
			vy, oky := y.values[column]
			if okx == oky && vx == vy {
				continue
			}
			diff := ColumnDifference{Column: column}
			if cfg.ShowValues && okx {
				diff.Rebuilt = &vx
			}
			if cfg.ShowValues && oky {
				diff.Lake = &vy
			}
			d.Columns = append(d.Columns, diff)
		}
	}
	return nil
}

func seenKey(key []byte, p Place) string { return fmt.Sprintf("%s\x00%s\x00%d", key, p.File, p.Row) }

// columnsOf lists the columns of both sides, in the order of the first.
func columnsOf(a, b *side) []string {
	var out []string
	had := map[string]bool{}
	for _, s := range []*side{b, a} {
		for _, name := range s.names {
			if !had[name] {
				had[name] = true
				out = append(out, name)
			}
		}
	}
	return append(out, registry.ColumnFile, registry.ColumnRow, registry.ColumnPosition)
}

// find gives the rows of the wanted keys, and writes their keys into wanted.
func (s *side) find(ctx context.Context, wanted map[string]*Difference) (map[string]seen, error) {
	rows := map[string]seen{}
	var key []byte
	for row, err := range s.set.All(ctx) {
		if err != nil {
			return nil, err
		}
		if key, err = s.encodeKey(key[:0], row); err != nil {
			return nil, err
		}
		d, ok := wanted[string(key)]
		if !ok {
			continue
		}
		d.Key = s.showKey(row)
		r := seen{values: map[string]string{}, place: Place{File: row.File, Row: row.Number}}
		for i, v := range row.Values {
			if !v.IsNull() {
				r.values[s.names[i]] = string(s.appendValue(nil, i, v))
			}
		}
		r.values[registry.ColumnFile] = string(row.File)
		r.values[registry.ColumnRow] = fmt.Sprint(row.Number)
		r.values[registry.ColumnPosition] = string(row.Position)
		rows[seenKey(key, r.place)] = r
	}
	return rows, nil
}

func (s *side) showKey(row lake.Row) []KeyColumn {
	var out []KeyColumn
	for _, i := range s.key {
		out = append(out, KeyColumn{Column: s.set.Columns[i].Name, Value: string(s.appendValue(nil, i, row.Values[i]))})
	}
	return out
}
