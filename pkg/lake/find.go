package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/iceberg-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// Snapshot names the table's snapshot for an engine that is to compute position
// deletes against it, with what it needs to find rows there. It is nil where the
// curator had better search itself: the table is not there, has no primary key,
// fewer rows than Config.PositionDeleteRows or more files than PositionDeleteFiles,
// or files of another engine.
func (l *Lake) Snapshot(ctx context.Context, id dms.TableID) (*transform.Snapshot, error) {
	tbl, err := l.load(ctx, id)
	switch {
	case errors.Is(err, ErrNoTable):
		return nil, nil
	case err != nil:
		return nil, err
	case tbl.CurrentSnapshot() == nil:
		return nil, nil
	}
	cols, err := userColumns(tbl.Schema())
	if err != nil {
		return nil, err
	}
	key, err := keyOfTable(tbl, cols)
	if err != nil {
		return nil, err
	}
	s, err := readSnapshot(ctx, tbl, key)
	switch {
	case errors.Is(err, ErrIncompatible):
		return nil, nil // the curator tells
	case err != nil:
		return nil, err
	}
	sorted := !slices.ContainsFunc(s.files, func(f *dataFile) bool { return !f.sorted })
	if len(key) == 0 || !sorted || s.rows < l.cfg.PositionDeleteRows || len(s.files) > l.cfg.PositionDeleteFiles {
		return nil, nil
	}
	out := &transform.Snapshot{ID: tbl.CurrentSnapshot().SnapshotID, Key: key, Files: make([]transform.SnapshotFile, len(s.files))}
	for i, f := range s.files {
		out.Files[i] = transform.SnapshotFile{Path: f.FilePath(), Rows: f.Count(), Low: f.low, High: f.high}
		for _, d := range f.deletes {
			out.Files[i].Deletes = append(out.Files[i].Deletes, d.FilePath())
		}
	}
	return out, nil
}

// Finder computes position deletes for an engine. It reads the warehouse and needs no
// catalog. It may be used by many goroutines.
type Finder struct{ lake *Lake }

// NewFinder makes a finder between the warehouse and the staging bucket.
func NewFinder(cfg Config, warehouse *IO, staging objects.Bucket) (*Finder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Finder{&Lake{cfg: cfg, io: warehouse, bucket: warehouse.Bucket(), staging: staging}}, nil
}

// FindRequest is one share of the search for the rows that a staged file changes.
type FindRequest struct {
	Job      transform.Job
	Manifest transform.Manifest // of its staged rows, see transform.ManifestOf
	Snapshot transform.Snapshot
	// The data files are divided into Of shares; this is Share of them, from 0.
	Share, Of int
}

// Find stages which rows of the share's data files are live and have a key of the
// staged rows and deletes, in the order of the data files. It fails with an error
// that errors.Is calls objects.ErrNotFound where the snapshot's objects are gone.
func (f *Finder) Find(ctx context.Context, req FindRequest) (_ []transform.PositionFile, err error) {
	if req.Of < 1 || req.Share < 0 || req.Share >= req.Of {
		return nil, fmt.Errorf("find rows: there is no share %d of %d", req.Share, req.Of)
	}
	probes := map[int]*probe{}
	for n := req.Share; n < len(req.Snapshot.Files); n += req.Of {
		file, err := snapshotFile(req.Snapshot.Files[n])
		if err != nil {
			return nil, err
		}
		probes[n] = &probe{file: file}
	}
	spec, key := findKey(req)
	one := newPart(spec, Part{}, req.Manifest)
	for _, s := range req.Manifest.Rows {
		one.rows = append(one.rows, &stagedFile{StagedParquet: s, part: one})
	}
	for _, s := range req.Manifest.Deletes {
		one.deletes = append(one.deletes, &stagedFile{StagedParquet: s, part: one, deletes: true})
	}
	changes := f.lake.newFold([]*part{one}, spec)
	defer func() { err = errors.Join(err, changes.close()) }()
	if err := f.search(ctx, changes, probes, key); err != nil {
		return nil, fmt.Errorf("find the rows that file %s changes: %w", req.Job.File.ID, err)
	}
	staged := []transform.PositionFile{}
	for n := range req.Snapshot.Files {
		p := probes[n]
		if p == nil || len(p.replaced) == 0 {
			continue
		}
		p.finish()
		positions, err := transform.StagePositions(ctx, f.lake.staging, req.Job, n, p.file.FilePath(), p.replaced)
		if err != nil {
			return nil, err
		}
		staged = append(staged, positions)
	}
	return staged, nil
}

// search collects the live rows of the probes' files that have the key of a change.
func (f *Finder) search(ctx context.Context, changes *fold, probes map[int]*probe, key []registry.Column) error {
	// Whose change is later is the curator's to tell.
	none := registry.Column{ID: noField}
	join := joinColumns{key: key, origin: originColumns{file: none, row: none, position: none}}
	w := &window{}
	for {
		more, err := w.fill(ctx, changes, f.lake.cfg.WindowRows)
		if err != nil || !more {
			return err
		}
		for _, p := range probes {
			found := func(_ int, row int64, _ origin) error {
				if !p.hidden.has(row) {
					p.replaced = append(p.replaced, row)
				}
				return nil
			}
			if err := f.lake.searchFile(ctx, p, w, join, found); err != nil {
				return err
			}
		}
	}
}

// snapshotFile is a data file as an engine is told of it.
func snapshotFile(s transform.SnapshotFile) (*dataFile, error) {
	build := func(content iceberg.ManifestEntryContent, path string, rows int64) (iceberg.DataFile, error) {
		b, err := iceberg.NewDataFileBuilder(*iceberg.UnpartitionedSpec, content, path, iceberg.ParquetFile, nil, nil, nil, max(rows, 1), 1)
		if err != nil {
			return nil, fmt.Errorf("data file %s of the snapshot: %w", path, err)
		}
		return b.Build(), nil
	}
	f := &dataFile{low: s.Low, sorted: true}
	if len(s.High) > 0 {
		f.high = s.High
	}
	var err error
	if f.DataFile, err = build(iceberg.EntryContentData, s.Path, s.Rows); err != nil {
		return nil, err
	}
	for _, path := range s.Deletes {
		d, err := build(iceberg.EntryContentPosDeletes, path, 1)
		if err != nil {
			return nil, err
		}
		f.deletes = append(f.deletes, d)
	}
	return f, nil
}

// findKey gives the registration and the key of the table with types that are wide
// enough for both the staged file and the table. The bytes of a key are the same in
// each.
func findKey(req FindRequest) (registry.Table, []registry.Column) {
	spec, key := req.Job.Table, slices.Clone(req.Snapshot.Key)
	spec.Columns = slices.Clone(spec.Columns)
	for i, k := range key {
		name := registry.FoldName(k.Name)
		for _, c := range req.Manifest.Schema {
			if registry.FoldName(c.Name) == name && canPromote(k.Type, c.Type) {
				key[i].Type = c.Type
			}
		}
		for j, c := range spec.Columns {
			if registry.FoldName(c.Name) == name {
				spec.Columns[j].Type = key[i].Type
			}
		}
	}
	return spec, key
}
