package transform

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// A transform whose changes are sorted elsewhere, by an engine of many machines,
// goes in three steps that may each run in another process: Read hands out the
// changes of a file, StageSorted takes them back in order, one range of keys or
// several, and Seal writes the manifest. The rules are those of Run, and so is
// the code: what comes of the rows depends on the file alone, never on how the
// engine cut or moved them.

// Reading is what reading a file came to, its changes apart. It is JSON.
type Reading struct {
	// Table is the registration as the file has it: its new and wider columns.
	Table  registry.Table `json:"table"`
	Input  Input          `json:"input"`
	Counts Counts         `json:"counts"` // as far as reading can tell
	// Long tells which columns have a value too long for a bound in statistics.
	Long []bool `json:"long"`
	// Bounds divide the keys into ranges that are staged each on its own: a range
	// begins at its bound, the first one has none. They depend on the file and on
	// the size of a range alone.
	Bounds [][]byte `json:"bounds"`
	// Rejected are the files of the rows that were set aside, which reading stages.
	Rejected []StagedParquet `json:"rejected,omitempty"`
}

// Range tells in which range a change lies, by its place in the order (see
// Read) or its key.
func (r Reading) Range(place []byte) int { return rangeOf(r.Bounds, place) }

// Emit takes one change. Its places compare as bytes the way changes are sorted:
// by key, position and row; a place is unique in its file and no other one
// begins with it. Both slices are valid until Emit returns.
type Emit func(place, change []byte) error

// Read reads the object of a job, checks every row and hands out all changes, in
// no order. Ranges hold about rangeBytes of changes each.
//
// Where nothing is left to do, since an earlier attempt has staged the file or it
// has no rows of its own, the result is not nil and takes the place of a Reading.
// Errors are those of Run; after one, what was handed out is worth nothing.
func Read(ctx context.Context, cfg Config, deps Deps, job Job, rangeBytes int64, emit Emit) (*Reading, *Result, error) {
	if job.File.Kind == dms.KindTransaction {
		result, err := Run(ctx, cfg, deps, job)
		return nil, result, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, nil, fmt.Errorf("transform: %w", err)
	}
	if err := job.check(); err != nil {
		return nil, nil, err
	}
	if done, err := FindStaged(ctx, deps.Staging, job); done != nil || err != nil {
		return nil, done, err
	}
	t := newTransform(cfg, deps, job)
	sample := &keySample{}
	var place []byte
	t.sink = func(r record) error {
		sample.add(r)
		place = r.appendPlace(place[:0], t.lay)
		return emit(place, r)
	}
	in, err := t.read(ctx)
	if fault := t.keepValue(ctx, err); fault != nil {
		err = fault // as in Run
	}
	var rejected []StagedParquet
	if err == nil && t.rejects != nil {
		rejected, err = t.rejects.commit(ctx)
	}
	if err = errors.Join(err, t.cleanUp()); err != nil {
		return nil, nil, err
	}
	return &Reading{
		Table: t.table, Input: in, Counts: t.counts, Long: t.long, Bounds: sample.bounds(rangeBytes), Rejected: rejected,
	}, nil, nil
}

// appendPlace appends what orders a record among those of its file.
func (r record) appendPlace(dst []byte, l *layout) []byte {
	dst = append(dst, r.key()...)
	dst = append(dst, r.order(l)...)
	return binary.BigEndian.AppendUint64(dst, uint64(r.row()))
}

// StagedRange is what was staged of one range of a file's keys. It is JSON.
type StagedRange struct {
	Range   int             `json:"range"`
	Rows    []StagedParquet `json:"rows"`
	Deletes []StagedParquet `json:"deletes"`
	// Dropped and Ties count as Counts.DuplicatesDropped and AmbiguousTies do.
	Dropped     int64        `json:"dropped"`
	Ties        int64        `json:"ties"`
	MinPosition dms.Position `json:"min_position"`
	MaxPosition dms.Position `json:"max_position"`
}

// StageSorted stages changes of a file that come in the order of their places:
// all those of one range, or of several ranges in their order. next gives one
// change after another, valid until the next call, and nil after the last. The
// staged files are visible afterwards, but count as staged only once sealed.
// Staging a range again gives the same bytes, or finds them.
func StageSorted(ctx context.Context, cfg Config, staging objects.Bucket, job Job, reading Reading, next func() ([]byte, error)) ([]StagedRange, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("transform: %w", err)
	}
	in := &rangeStream{bounds: reading.Bounds, source: next}
	staged := []StagedRange{}
	for {
		more, err := in.begin()
		if err != nil || !more {
			return staged, err
		}
		one, err := stageRange(ctx, cfg, staging, job, reading, in)
		if err != nil {
			return nil, err
		}
		staged = append(staged, one)
	}
}

func stageRange(ctx context.Context, cfg Config, staging objects.Bucket, job Job, reading Reading, in *rangeStream) (_ StagedRange, err error) {
	t := newTransform(cfg, Deps{Staging: staging}, job)
	t.plan(reading.Table)
	defer func() { err = errors.Join(err, t.cleanUp()) }()
	t.long = reading.Long
	if len(reading.Bounds) > 0 {
		t.part = fmt.Sprintf("-%05d", in.at+1)
	}
	out := StagedRange{Range: in.at}
	if err := t.encode(ctx, &lastOfKey{lay: t.lay, in: in, dropped: &out.Dropped}); err != nil {
		return StagedRange{}, err
	}
	out.Ties = t.counts.AmbiguousTies
	if out.Rows, err = t.rows.commit(ctx); err != nil {
		return StagedRange{}, err
	}
	if out.Deletes, err = t.deletes.commit(ctx); err != nil {
		return StagedRange{}, err
	}
	if out.MinPosition, err = t.position(t.low); err != nil {
		return StagedRange{}, err
	}
	out.MaxPosition, err = t.position(t.high)
	return out, err
}

// rangeStream gives the records of one range after another.
type rangeStream struct {
	bounds [][]byte
	source func() ([]byte, error)
	begun  bool
	at     int    // the range that is given
	held   record // the next record; nil at the end
	given  bool   // held was given: the next one is to be fetched
}

// begin goes to the next range that has a record; false if none has.
func (s *rangeStream) begin() (bool, error) {
	if !s.begun {
		s.begun, s.given = true, true
		if err := s.fetch(); err != nil {
			return false, err
		}
	}
	if s.held == nil {
		return false, nil
	}
	s.at = rangeOf(s.bounds, s.held.key())
	return true, nil
}

// fetch moves on to the next record, if the one held was given.
func (s *rangeStream) fetch() error {
	if !s.given {
		return nil
	}
	b, err := s.source()
	if err != nil {
		return err
	}
	if b != nil && (len(b) < offOrder || int(binary.LittleEndian.Uint32(b[offLength:])) != len(b)) {
		return errors.New("read sorted changes: one is no record")
	}
	s.held, s.given = b, false
	return nil
}

func (s *rangeStream) next() (record, error) {
	if err := s.fetch(); err != nil || s.held == nil {
		return nil, err
	}
	if s.at < len(s.bounds) && bytes.Compare(s.held.key(), s.bounds[s.at]) >= 0 {
		return nil, nil // it begins another range
	}
	s.given = true
	return s.held, nil
}

var _ stream = (*rangeStream)(nil)

// rangeOf tells in which range a key or place lies.
func rangeOf(bounds [][]byte, place []byte) int {
	return sort.Search(len(bounds), func(i int) bool { return bytes.Compare(bounds[i], place) > 0 })
}

// Seal writes the manifest of a file out of what its ranges were staged as, and of the
// position deletes if there are any; with it the file counts as staged. The engine is
// named as Engine is.
func Seal(ctx context.Context, staging objects.Bucket, job Job, engine string, reading Reading, ranges []StagedRange, deletes *PositionDeletes) (*Result, error) {
	m, err := ManifestOf(job, engine, reading, ranges)
	if err != nil {
		return nil, fmt.Errorf("seal file %s: %w", job.File.ID, err)
	}
	m.PositionDeletes = deletes
	return writeManifest(ctx, staging, m)
}

// ManifestOf gives the manifest that Seal writes, without position deletes.
func ManifestOf(job Job, engine string, reading Reading, ranges []StagedRange) (Manifest, error) {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b StagedRange) int { return a.Range - b.Range })
	m := Manifest{
		Engine: engine, Table: job.Table.ID, SpecVersion: job.Table.Version,
		FileID: job.File.ID, Token: job.Token, Kind: job.File.Kind, Order: job.File.Order,
		Part: job.File.Part, Mending: job.File.Mending.Original(), Input: reading.Input, Schema: StagedColumns(reading.Table), Counts: reading.Counts,
		Rows: []StagedParquet{}, Deletes: []StagedParquet{}, Rejected: reading.Rejected,
	}
	for i, r := range ranges {
		if i > 0 && r.Range == ranges[i-1].Range {
			return Manifest{}, fmt.Errorf("range %d was staged in two parts", r.Range)
		}
		m.Rows, m.Deletes = append(m.Rows, r.Rows...), append(m.Deletes, r.Deletes...)
		m.Counts.DuplicatesDropped += r.Dropped
		m.Counts.AmbiguousTies += r.Ties
		if m.MinPosition == "" || r.MinPosition < m.MinPosition {
			m.MinPosition = r.MinPosition
		}
		m.MaxPosition = max(m.MaxPosition, r.MaxPosition)
	}
	return m, nil
}

// maxSample is how many keys are remembered to find bounds; a bound takes at most
// maxBound bytes of its key.
const maxSample = 1 << 12

// keySample remembers keys at even steps of the bytes of a file's changes.
type keySample struct {
	total int64
	step  int64
	due   int64
	keys  [][]byte
}

func (s *keySample) add(r record) {
	s.total += int64(len(r))
	if s.total < s.due {
		return
	}
	if len(s.keys) == maxSample {
		for i := range maxSample / 2 {
			s.keys[i] = s.keys[2*i+1]
		}
		s.keys = s.keys[:maxSample/2]
		s.step *= 2
	}
	s.step = max(s.step, 1<<10)
	s.due = s.total + s.step
	key := r.key()
	s.keys = append(s.keys, bytes.Clone(key[:min(len(key), maxBound)]))
}

// bounds divides the keys into ranges of about so many bytes.
func (s *keySample) bounds(rangeBytes int64) [][]byte {
	bounds := [][]byte{}
	if rangeBytes <= 0 || s.total <= rangeBytes {
		return bounds
	}
	n := int(min((s.total+rangeBytes-1)/rangeBytes, int64(len(s.keys))))
	slices.SortFunc(s.keys, bytes.Compare)
	for i := 1; i < n; i++ {
		bound := s.keys[i*len(s.keys)/n]
		if last := len(bounds) - 1; last < 0 || !bytes.Equal(bounds[last], bound) {
			bounds = append(bounds, bound)
		}
	}
	return bounds
}
