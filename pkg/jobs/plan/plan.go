package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// Format is the version of the document that this package writes and reads.
const Format = 1

// Name is the plan's name in the folder of the output.
const Name = "plan.json"

// Plan is the transform of files of one table under one token.
type Plan struct {
	Format int `json:"format"`
	// Stage is the folder of the first file's output in the staging bucket; by it a
	// run is known.
	Stage    string         `json:"stage"`
	Table    registry.Table `json:"table"`
	Token    uint64         `json:"token"`
	Deadline time.Time      `json:"deadline"` // zero: none
	// Raw is the bucket of the files' objects, but for mended rows, which lie in Failed;
	// that is zero where the plan has none.
	Raw     Place      `json:"raw"`
	Failed  Place      `json:"failed,omitzero"`
	Staging Place      `json:"staging"`
	Files   []dms.File `json:"files"`
	Limits  Limits     `json:"limits"`
	// Snapshot is that of the table in the warehouse Tables, against which position
	// deletes may be computed; nil: none are wanted.
	Snapshot *transform.Snapshot `json:"snapshot,omitempty"`
	Tables   Place               `json:"tables,omitzero"`
}

// Place is a bucket as a program elsewhere finds it.
type Place struct {
	Name string `json:"name"` // as file identities and reports use it
	// URI is file:///FOLDER or s3://BUCKET[/PREFIX].
	URI string `json:"uri"`
	// Region is that of S3; empty: whoever opens the place knows it.
	Region string `json:"region,omitempty"`
}

// Object gives the address of an object there, every byte of its key escaped that
// means something in an address.
func (p Place) Object(key string) string {
	return strings.TrimSuffix(p.URI, "/") + "/" + (&url.URL{Path: key}).EscapedPath()
}

// Limits are the bounds of a transform that its output depends on; zero is the
// engine's own.
type Limits struct {
	MaxFieldBytes int   `json:"max_field_bytes,omitempty"`
	MaxFileBytes  int64 `json:"max_file_bytes,omitempty"`
	MaxFileRows   int64 `json:"max_file_rows,omitempty"`
	// RangeBytes is how many bytes of decoded rows one range of keys holds; each
	// range is staged on its own.
	RangeBytes int64 `json:"range_bytes,omitempty"`
}

// Maker makes plans between two buckets; mended rows lie in a third one.
type Maker struct {
	Raw, Staging, Failed Place
	Tables               Tables
	Limits               Limits
}

// Tables is the warehouse, for plans against a snapshot; zero: there are none.
type Tables struct {
	Place
	// Snapshot gives the snapshot of a table as it is now; nil if none is to be named.
	Snapshot func(context.Context, dms.TableID) (*transform.Snapshot, error)
}

// Make gives the plan for files of a table under a token.
func (m Maker) Make(table registry.Table, token uint64, deadline time.Time, files ...dms.File) Plan {
	p := Plan{
		Format: Format, Table: table, Token: token, Deadline: deadline.UTC(),
		Raw: m.Raw, Staging: m.Staging, Files: files, Limits: m.Limits,
	}
	if slices.ContainsFunc(files, func(f dms.File) bool { return !f.Mending.IsZero() }) {
		p.Failed = m.Failed
	}
	p.Stage = p.stage()
	return p
}

// Against names in a plan of changes the snapshot that the table has now. A later
// attempt may name another one: that one counts which was put first.
func (m Maker) Against(ctx context.Context, p Plan) (Plan, error) {
	other := func(f dms.File) bool { return f.Kind != dms.KindChange }
	if m.Tables.Snapshot == nil || len(p.Table.PrimaryKey) == 0 || slices.ContainsFunc(p.Files, other) {
		return p, nil
	}
	var err error
	if p.Snapshot, err = m.Tables.Snapshot(ctx, p.Table.ID); err != nil {
		return Plan{}, fmt.Errorf("plan of %s: name its snapshot: %w", p.Table.ID, err)
	}
	if p.Snapshot != nil {
		p.Tables = m.Tables.Place
	}
	return p, nil
}

func (p Plan) stage() string {
	if len(p.Files) == 0 {
		return ""
	}
	return transform.StagePrefix(p.Table.ID, p.Files[0].ID, p.Token)
}

// Job is the transform of one of the plan's files.
func (p Plan) Job(file int) transform.Job {
	return transform.Job{Table: p.Table, File: p.Files[file], Token: p.Token}
}

// Key is where the plan lies in the staging bucket.
func (p Plan) Key() string { return p.Stage + Name }

// Validate reports all faults of a plan together.
func (p Plan) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if p.Format != Format {
		fault("format %d is not known: this version reads %d", p.Format, Format)
	}
	if p.Table.ID.IsZero() || p.Table.Version == 0 || p.Token == 0 {
		fault("table, registration version or token is missing")
	}
	if len(p.Files) == 0 {
		fault("no file is named")
	}
	if p.Stage != p.stage() {
		fault("the stage is not the folder of the first file")
	}
	places := []Place{p.Raw, p.Staging}
	for _, f := range p.Files {
		in := p.Raw
		if !f.Mending.IsZero() {
			in = p.Failed
			places = append(places, in)
		}
		if f.Object.Bucket != "" && f.Object.Bucket != in.Name {
			fault("file %s lies in bucket %s, not in %s", f.ID, f.Object.Bucket, in.Name)
		}
	}
	if p.Snapshot != nil {
		places = append(places, p.Tables)
	}
	if slices.ContainsFunc(places, func(p Place) bool { return p.Name == "" || p.URI == "" }) {
		fault("name or uri of a bucket is missing")
	}
	return errors.Join(faults...)
}

// Document gives the plan as it is written, if it is whole.
func (p Plan) Document() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("plan of %s: %w", p.Table.ID, err)
	}
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("plan of %s: %w", p.Table.ID, err)
	}
	return append(data, '\n'), nil
}

// Decode reads a plan and checks it. Fields that this version does not know are
// refused: half a plan is none.
func Decode(data []byte) (Plan, error) {
	var p Plan
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return Plan{}, fmt.Errorf("read a plan: %w", err)
	}
	if err := p.Validate(); err != nil {
		return Plan{}, fmt.Errorf("plan %s: %w", p.Stage, err)
	}
	return p, nil
}

// Put writes the plan into the staging bucket. One that is there already stays as
// it is: a run may be at work on it.
func Put(ctx context.Context, staging objects.Bucket, p Plan) error {
	data, err := p.Document()
	if err != nil {
		return err
	}
	w, err := staging.Create(ctx, p.Key())
	if err != nil {
		return fmt.Errorf("create %s: %w", p.Key(), err)
	}
	if _, err = w.Write(data); err == nil {
		_, err = w.Commit(ctx)
	}
	if errors.Is(err, objects.ErrExists) {
		err = nil
	}
	if err = errors.Join(err, w.Abort()); err != nil {
		return fmt.Errorf("write %s: %w", p.Key(), err)
	}
	return nil
}
