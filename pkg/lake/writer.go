package lake

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/apache/iceberg-go"
	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// What written files carry as created_by: the default would hold build
// information.
const (
	writerName    = "blotter"
	writerVersion = "1"
)

// longValue: bounds of a column with longer values would fill the footer.
const longValue = 1 << 10

// dataWriter writes rows, in the order given, into data files of bounded size.
type dataWriter struct {
	lake   *Lake
	ctx    context.Context
	folder string
	cols   []registry.Column // of the table, provenance last
	prov   registry.Provenance
	order  int // the sort order that rows come in, 0 for none

	slab      [][]parquet.Value
	n         int
	slabBytes int64          // of its values
	retired   []parquet.Page // pages that values of the slab may point into
	kept      int64          // bytes of them
	err       error          // of a flush that retire made

	dict      []bool
	unbounded []bool
	bounds    fileBounds
	create    func(key string) (objects.Writer, error)
	out       *countingWriter
	location  string
	w         *parquet.GenericWriter[any]
	group     *parquet.ConcurrentRowGroupWriter
	groupRows int64
	rowBytes  int64 // of the values of the row group
	fileRows  int64

	rows  int64
	files []iceberg.DataFile
	keys  []string // of all objects created
}

// fileBounds are the size at which a data file ends.
type fileBounds struct{ rows, bytes int64 }

// unlimited bounds a file that is written whole, however large.
var unlimited = fileBounds{math.MaxInt64, math.MaxInt64}

// countingWriter knows how much was written.
type countingWriter struct {
	objects.Writer
	n int64
}

// Write counts.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

func (l *Lake) newDataWriter(ctx context.Context, id dms.TableID, users []registry.Column, prov registry.Provenance, order int) *dataWriter {
	cols := append(append([]registry.Column(nil), users...), provenanceFields(prov)...)
	w := &dataWriter{
		lake: l, ctx: ctx, folder: tableFolder(id) + "/data/", cols: cols, prov: prov, order: order, slab: make([][]parquet.Value, len(cols)),
		bounds: fileBounds{l.cfg.MaxFileRows, l.cfg.MaxFileBytes},
		create: func(key string) (objects.Writer, error) { return l.bucket.Create(ctx, key) },
	}
	for i := range w.slab {
		w.slab[i] = make([]parquet.Value, slabRows)
	}
	return w
}

// retire keeps a page until the values that point into it are written: soon, where
// pages are large, since few of their rows may be live.
func (w *dataWriter) retire(p parquet.Page) {
	w.retired = append(w.retired, p)
	if w.kept += p.Size(); w.kept >= w.lake.cfg.slabBytes() {
		w.err = errors.Join(w.err, w.flush())
	}
}

// add takes the current row of a reader of w's columns.
func (w *dataWriter) add(r *rowReader) error {
	if w.err != nil {
		return w.err
	}
	for i := range w.cols {
		v := r.vals[i][r.at]
		level := 1
		if v.IsNull() || w.cols[i].Required {
			level = 0
		}
		w.slab[i][w.n] = v.Level(0, level, i)
		w.slabBytes += 8
		if k := v.Kind(); k == parquet.ByteArray || k == parquet.FixedLenByteArray {
			w.slabBytes += int64(len(v.ByteArray()))
		}
	}
	if w.n++; w.n == slabRows || w.slabBytes >= w.lake.cfg.slabBytes() {
		return w.flush()
	}
	return nil
}

// flush writes the slab; its pages are free then.
func (w *dataWriter) flush() error {
	if w.n == 0 {
		w.release()
		return nil
	}
	if w.w == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	if err := w.writeColumns(); err != nil {
		return fmt.Errorf("write %s: %w", w.location, err)
	}
	w.groupRows += int64(w.n)
	w.fileRows += int64(w.n)
	w.rows += int64(w.n)
	w.rowBytes += w.slabBytes
	w.n, w.slabBytes = 0, 0
	w.release()
	if cfg := w.lake.cfg; w.groupRows >= cfg.RowGroupRows || w.rowBytes >= cfg.RowGroupBytes {
		if err := w.endGroup(); err != nil {
			return err
		}
		if w.fileRows >= w.bounds.rows || w.out.n >= w.bounds.bytes {
			return w.endFile()
		}
		w.group = w.w.BeginRowGroup()
	}
	return nil
}

// release gives back the pages that no value of the slab points into any more.
func (w *dataWriter) release() {
	for _, p := range w.retired {
		parquet.Release(p)
	}
	w.retired, w.kept = w.retired[:0], 0
}

// writeColumns encodes the columns on two cores: encoding and compression are
// where the time goes.
func (w *dataWriter) writeColumns() error {
	writers := w.group.ColumnWriters()
	errs := make([]error, 2)
	half := func(k int) {
		for i := k; i < len(writers) && errs[k] == nil; i += 2 {
			_, errs[k] = writers[i].WriteRowValues(w.slab[i][:w.n])
		}
	}
	var wait sync.WaitGroup
	wait.Go(func() { half(1) })
	half(0)
	wait.Wait()
	return errors.Join(errs...)
}

// open begins a file; the first one chooses encodings from its first rows.
func (w *dataWriter) open() error {
	if w.dict == nil {
		w.sample()
	}
	key := w.folder + uuid.NewString() + ".parquet"
	out, err := w.create(key)
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	w.keys = append(w.keys, key)
	w.location, w.out, w.fileRows = w.lake.io.URI(key), &countingWriter{Writer: out}, 0
	options := []parquet.WriterOption{
		transform.EncodedSchema(w.cols[:len(w.cols)-3], w.prov, w.dict),
		parquet.CreatedBy(writerName, writerVersion, "data"),
		parquet.DataPageStatistics(false), parquet.DictionaryMaxBytes(1 << 20),
	}
	for i, c := range w.cols {
		if w.unbounded[i] {
			options = append(options, parquet.SkipPageBounds(c.Name))
		}
	}
	w.w = parquet.NewGenericWriter[any](w.out, options...)
	w.group, w.groupRows = w.w.BeginRowGroup(), 0
	return nil
}

// sample chooses dictionaries, where a value stands four times on average, and
// leaves out bounds that would be wrong or too long.
func (w *dataWriter) sample() {
	w.dict, w.unbounded = make([]bool, len(w.cols)), make([]bool, len(w.cols))
	for i, c := range w.cols {
		kind, _ := physical(c.Type)
		w.unbounded[i] = kind == parquet.FixedLenByteArray
		seen := make(map[string]struct{}, w.n)
		var text []byte
		for _, v := range w.slab[i][:w.n] {
			text = v.AppendBytes(text[:0])
			seen[string(text)] = struct{}{}
			w.unbounded[i] = w.unbounded[i] || len(text) > longValue
		}
		w.dict[i] = kind != parquet.Boolean && 4*len(seen) <= w.n || i >= len(w.cols)-3 && i != len(w.cols)-2
	}
}

func (w *dataWriter) endGroup() error {
	if w.groupRows == 0 {
		return nil
	}
	if _, err := w.group.Commit(); err != nil {
		return fmt.Errorf("write %s: %w", w.location, err)
	}
	w.groupRows, w.rowBytes = 0, 0
	return nil
}

func (w *dataWriter) endFile() error {
	if err := w.endGroup(); err != nil {
		return err
	}
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("write %s: %w", w.location, err)
	}
	meta := w.w.File().Metadata()
	if _, err := w.out.Commit(w.ctx); err != nil {
		return fmt.Errorf("write %s: %w", w.location, err)
	}
	file, err := statistics(meta, w.cols).build(w.location, w.out.n, w.order)
	if err != nil {
		return fmt.Errorf("describe %s: %w", w.location, err)
	}
	w.files = append(w.files, file)
	w.w, w.group, w.out = nil, nil, nil
	return nil
}

// close writes what is left. On an error the file at hand is given up.
func (w *dataWriter) close(err error) error {
	if err == nil {
		err = w.err
	}
	if err == nil {
		err = w.flush()
	}
	if err == nil && w.w != nil {
		err = w.endFile()
	}
	if err != nil && w.out != nil {
		err = errors.Join(err, w.out.Abort())
	}
	return err
}
