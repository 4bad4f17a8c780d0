package sample

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// Write makes a drop below dir, which should be empty, and tells what it made.
// The files lie below dir by wave; Place moves them into a raw folder. The same
// config gives the same bytes, names and modification times.
func Write(ctx context.Context, dir string, cfg Config) (*Drop, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	schemas := tables()
	w := &writer{ctx: ctx, dir: dir, cfg: cfg, drop: &Drop{Registration: registration(schemas)}}
	for i, s := range schemas {
		h := fnv.New64a()
		h.Write([]byte(s.name))
		start := cfg.Start.Add(time.Duration(i) * 3 * time.Minute)
		t := newTable(s, h.Sum64()^cfg.Seed*0x9E3779B97F4A7C15, start)
		if err := w.table(t, start); err != nil {
			return nil, fmt.Errorf("sample: table %s: %w", s.name, err)
		}
		w.drop.states = append(w.drop.states, t)
		w.drop.Tables = append(w.drop.Tables, w.summary(t))
	}
	w.order()
	return w.drop, nil
}

// writer writes the files of a drop.
type writer struct {
	ctx  context.Context
	dir  string
	cfg  Config
	drop *Drop
}

// file writes one file of a table and takes note of it. name is the key below
// the table's folder; rows writes its rows.
func (w *writer) file(t *table, f File, name string, rows func(*rowWriter)) (File, error) {
	if err := w.ctx.Err(); err != nil {
		return f, err
	}
	f.Table = dms.TableID{DB: database, Table: t.name}
	f.Key = "dms/" + database + "/" + t.name + "/" + name
	f.Path = w.path(f)
	if f.Expect == "" {
		f.Expect = Published
	}
	f.Kind = dms.KindChange
	if strings.Contains(name, "LOAD") {
		f.Kind = dms.KindLoad
	}
	err := create(f.Path, strings.HasSuffix(name, ".gz"), func(out *bufio.Writer) {
		rw := &rowWriter{out: out}
		if t.settings.header {
			rw.header(t.layout(f.Kind == dms.KindLoad))
		}
		rows(rw)
		f.Rows = rw.rows
	})
	if err != nil {
		return f, fmt.Errorf("write %s: %w", f.Key, err)
	}
	return f, w.note(&f)
}

// note sets the modification time of a file and adds it to the drop.
func (w *writer) note(f *File) error {
	if err := os.Chtimes(f.Path, f.LastModified, f.LastModified); err != nil {
		return fmt.Errorf("date %s: %w", f.Key, err)
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		return fmt.Errorf("look at %s: %w", f.Key, err)
	}
	f.Size = info.Size()
	w.drop.Files = append(w.drop.Files, *f)
	return nil
}

func (w *writer) path(f File) string {
	return filepath.Join(w.dir, fmt.Sprint(f.Wave), filepath.FromSlash(f.Key))
}

// create writes a new file.
func create(path string, zip bool, write func(*bufio.Writer)) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if !zip {
		b := bufio.NewWriterSize(out, 1<<16)
		write(b)
		return b.Flush()
	}
	z := &members{z: gzip.NewWriter(out), out: out}
	b := bufio.NewWriterSize(z, 1<<16)
	write(b)
	return errors.Join(b.Flush(), z.z.Close())
}

// members writes gzip in several members, as DMS does for larger files.
type members struct {
	z       *gzip.Writer
	out     io.Writer
	written int
}

// memberSize is how much of a file one member holds, uncompressed.
const memberSize = 1 << 18

func (m *members) Write(p []byte) (int, error) {
	if m.written >= memberSize {
		if err := m.z.Close(); err != nil {
			return 0, err
		}
		m.z.Reset(m.out)
		m.written = 0
	}
	n, err := m.z.Write(p)
	m.written += n
	return n, err
}

// again delivers a file that was written once more: the same bytes under the
// same key.
func (w *writer) again(f File, wave int) error {
	from := f.Path
	f.Wave, f.Expect, f.Why = wave, Duplicate, "delivered twice: the same object as before"
	f.Path = w.path(f)
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("repeat %s: %w", f.Key, err)
	}
	if err := copyFile(from, f.Path); err != nil {
		return fmt.Errorf("repeat %s: %w", f.Key, err)
	}
	return w.note(&f)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// order puts the files into the order of delivery: by wave, the files of a wave
// shuffled, so that changes come before loads and late ones before early ones.
func (w *writer) order() {
	r := rand.New(rand.NewPCG(w.cfg.Seed, 2))
	var ordered []File
	for wave := 1; wave <= w.drop.Waves(); wave++ {
		var files []File
		for _, f := range w.drop.Files {
			if f.Wave == wave {
				files = append(files, f)
			}
		}
		r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		ordered = append(ordered, files...)
	}
	w.drop.Files = ordered
}

// summary tells what must come of a table.
func (w *writer) summary(t *table) Table {
	s := Table{ID: dms.TableID{DB: database, Table: t.name}, PrimaryKey: t.key}
	for _, f := range w.drop.Files {
		if f.Table == s.ID && f.Expect == Published {
			s.Files++
			s.RowsIn += f.Rows
			s.Duplicates += f.Duplicates
		}
	}
	s.Deletes = t.deletes
	s.Rows, s.RowsResumed = int64(len(t.live)), int64(len(t.rowsLeft(true)))
	if len(t.key) == 0 {
		s.Rows, s.RowsResumed = int64(len(t.appended)), int64(len(t.appended))
	}
	return s
}
