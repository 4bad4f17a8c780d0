package transform

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// stager writes records, in the order in which they come, to staged Parquet
// files of bounded size. While one batch is encoded, column by column on
// several goroutines, the next one fills. What it writes depends on the records
// and the limits alone. Nothing is visible before commit.
type stager struct {
	cfg     Config
	bucket  objects.Bucket
	name    string // the objects' names without number and ending
	keyed   bool
	columns []registry.Column
	prov    registry.Provenance
	sources []columnSource
	unbound []bool // columns without bounds in statistics
	dict    []bool // chosen by the first batch

	filling  *recordBatch
	encoding *recordBatch
	busy     chan error // of the batch that is being encoded; nil if none is
	values   []columnBuffer

	file      *stagedObject
	writer    *parquet.GenericWriter[any]
	group     *parquet.ConcurrentRowGroupWriter
	groupRows int64
	groupSize int64
	done      []*stagedObject
}

// columnBuffer is the memory of one encoding goroutine.
type columnBuffer struct {
	values  []parquet.Value
	scratch []byte
}

// stagedObject is one staged file on its way.
type stagedObject struct {
	out            *hashingWriter
	staged         StagedParquet
	minKey, maxKey []byte
}

func (s *stager) init() *stager {
	s.filling, s.encoding = &recordBatch{}, &recordBatch{}
	s.values = make([]columnBuffer, s.cfg.Workers)
	return s
}

func (s *stager) add(ctx context.Context, r record) error {
	s.filling.add(r)
	if !s.filling.isFull() {
		return nil
	}
	return s.flush(ctx)
}

// flush hands the filled batch over for encoding. Files and row groups end only
// here, so that they end in the same place whatever the speed.
func (s *stager) flush(ctx context.Context) error {
	if s.filling.len() == 0 {
		return nil
	}
	if err := errors.Join(s.settle(), ctx.Err()); err != nil {
		return err
	}
	if s.groupRows >= s.cfg.MaxGroupRows || s.groupSize >= s.cfg.MaxGroupBytes {
		if err := s.endGroup(); err != nil {
			return err
		}
		if f := s.file; f.staged.Rows >= s.cfg.MaxFileRows || f.out.n >= s.cfg.MaxFileBytes {
			if err := s.endFile(); err != nil {
				return err
			}
		}
	}
	if s.file == nil {
		if err := s.beginFile(ctx); err != nil {
			return err
		}
	}
	s.note(s.filling)
	s.filling, s.encoding = s.encoding, s.filling
	s.busy = make(chan error, 1)
	go s.encode(s.encoding, s.busy)
	return nil
}

// note keeps account of a batch before it is encoded.
func (s *stager) note(b *recordBatch) {
	f := s.file
	if f.staged.Rows == 0 {
		f.minKey = append([]byte(nil), b.at(0).key()...)
	}
	f.maxKey = append(f.maxKey[:0], b.at(b.len()-1).key()...)
	f.staged.Rows += int64(b.len())
	s.groupRows += int64(b.len())
	s.groupSize += int64(len(b.data))
}

// encode writes a batch, each column by whichever goroutine is free.
func (s *stager) encode(b *recordBatch, done chan<- error) {
	writers := s.group.ColumnWriters()
	var next atomic.Int64
	var wait sync.WaitGroup
	faults := make([]error, len(s.values))
	for w := range s.values {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(s.sources) || faults[w] != nil {
					return
				}
				faults[w] = s.values[w].write(writers[i], s.sources[i], b)
			}
		})
	}
	wait.Wait()
	b.reset()
	done <- errors.Join(faults...)
}

func (c *columnBuffer) write(w *parquet.ColumnWriter, source columnSource, b *recordBatch) error {
	var err error
	c.values, c.scratch, err = source.values(c.values[:0], c.scratch, b)
	if err != nil {
		return err
	}
	_, err = w.WriteRowValues(c.values)
	clear(c.values)
	return err
}

// settle waits for the batch that is being encoded.
func (s *stager) settle() error {
	if s.busy == nil {
		return nil
	}
	err := <-s.busy
	s.busy = nil
	if err != nil {
		return fmt.Errorf("encode staged rows: %w", err)
	}
	return nil
}

func (s *stager) beginFile(ctx context.Context) error {
	if s.dict == nil {
		s.dict = chooseDictionaries(s.sources, s.columns, s.filling)
	}
	key := fmt.Sprintf("%s-%05d.parquet", s.name, len(s.done)+1)
	out, err := createHashed(ctx, s.bucket, key)
	if err != nil {
		return err
	}
	s.file = &stagedObject{out: out, staged: StagedParquet{Key: key}}
	s.writer = parquet.NewGenericWriter[any](out, s.writerOptions()...)
	s.group = s.writer.BeginRowGroup()
	return nil
}

// maxDictionary bounds a dictionary; beyond it a column goes on without.
const maxDictionary = 1 << 20

func (s *stager) writerOptions() []parquet.WriterOption {
	options := []parquet.WriterOption{
		stagedSchema(s.columns, s.prov, s.dict),
		parquet.CreatedBy(createdApplication, createdVersion, createdBuild),
		parquet.DataPageStatistics(false),
		parquet.DictionaryMaxBytes(maxDictionary),
	}
	for i, c := range s.columns {
		if s.unbound[i] {
			options = append(options, parquet.SkipPageBounds(c.Name))
		}
	}
	return options
}

func (s *stager) endGroup() error {
	var wait sync.WaitGroup
	writers := s.group.ColumnWriters()
	faults := make([]error, len(writers))
	limit := make(chan struct{}, s.cfg.Workers)
	for i, w := range writers {
		limit <- struct{}{}
		wait.Go(func() {
			faults[i] = w.Flush()
			<-limit
		})
	}
	wait.Wait()
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("encode staged rows: %w", err)
	}
	if _, err := s.group.Commit(); err != nil {
		return fmt.Errorf("write row group of %s: %w", s.file.staged.Key, err)
	}
	s.groupRows, s.groupSize = 0, 0
	return nil
}

func (s *stager) endFile() error {
	if err := s.writer.Close(); err != nil {
		return fmt.Errorf("write %s: %w", s.file.staged.Key, err)
	}
	f := s.file
	f.staged.Bytes, f.staged.SHA256 = f.out.n, f.out.sum()
	if s.keyed {
		f.staged.MinKey, f.staged.MaxKey = hex.EncodeToString(f.minKey), hex.EncodeToString(f.maxKey)
	}
	s.done = append(s.done, f)
	s.file, s.writer, s.group = nil, nil, nil
	return nil
}

// close writes what is left. The files are complete then, but not yet visible.
func (s *stager) close(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	if err := s.settle(); err != nil || s.file == nil {
		return err
	}
	if err := s.endGroup(); err != nil {
		return err
	}
	return s.endFile()
}

// commit makes the files visible.
func (s *stager) commit(ctx context.Context) ([]StagedParquet, error) {
	staged := []StagedParquet{}
	for _, f := range s.done {
		if err := f.out.commit(ctx); err != nil {
			return nil, err
		}
		staged = append(staged, f.staged)
	}
	return staged, nil
}

// abort gives up whatever is not committed.
func (s *stager) abort() error {
	faults := []error{s.settle()}
	files := s.done
	if s.file != nil {
		files = append(files, s.file)
	}
	for _, f := range files {
		faults = append(faults, f.out.abort())
	}
	return errors.Join(faults...)
}
