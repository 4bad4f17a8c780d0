package plan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// Format is the version of both documents that this package writes and reads.
const Format = 1

// Plan is the transform of files of one table under one token.
type Plan struct {
	Format int `json:"format"`
	// ID is the identity of the run, see NewID: the token that keeps a dispatcher
	// from starting it twice.
	ID       string         `json:"id"`
	Table    registry.Table `json:"table"`
	Token    uint64         `json:"token"`
	Deadline time.Time      `json:"deadline"` // zero: none
	Raw      Place          `json:"raw"`
	Staging  Place          `json:"staging"`
	Files    []dms.File     `json:"files"`
	Limits   Limits         `json:"limits"`
}

// Place is a bucket as a program elsewhere finds it.
type Place struct {
	Name string `json:"name"` // as file identities and reports use it
	// URI is file:///FOLDER or s3://BUCKET[/PREFIX].
	URI string `json:"uri"`
}

// Limits are the bounds of a transform that its output depends on; zero is the
// engine's own.
type Limits struct {
	MaxFieldBytes int   `json:"max_field_bytes,omitempty"`
	MaxFileBytes  int64 `json:"max_file_bytes,omitempty"`
	MaxFileRows   int64 `json:"max_file_rows,omitempty"`
	ShowValues    bool  `json:"show_values,omitempty"`
	// RangeBytes is how many bytes of decoded rows one range of keys holds; each
	// range is staged on its own.
	RangeBytes int64 `json:"range_bytes,omitempty"`
}

// New makes the plan for files of a table under a token. The places and limits
// are left to the caller.
func New(table registry.Table, token uint64, files ...dms.File) Plan {
	return Plan{Format: Format, ID: NewID(table.ID, token, files...), Table: table, Token: token, Files: files}
}

// NewID hashes what makes a run the same run: table, token and files, in their
// order. It is 32 hex digits.
func NewID(table dms.TableID, token uint64, files ...dms.File) string {
	h := sha256.New()
	write := func(s string) {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	write(table.String())
	write(strconv.FormatUint(token, 10))
	for _, f := range files {
		write(string(f.ID))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Folder holds plans and outcomes in the staging bucket. No database has this
// name: its "@" cannot stand in one.
const Folder = "@plans/"

// Key is where the plan lies in the staging bucket.
func (p Plan) Key() string { return Folder + p.ID + ".json" }

// URI is where a job finds the plan.
func (p Plan) URI() string { return p.Staging.URI + "/" + p.Key() }

// OutcomeKey is where the run leaves its answer in the staging bucket.
func (p Plan) OutcomeKey() string { return Folder + p.ID + ".outcome.json" }

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
	for _, file := range p.Files {
		// A job that knew nothing of them would take the rows of all tables.
		if file.Kind == dms.KindTransaction || !file.Part.IsZero() {
			fault("%s is a transaction file, which no job takes apart", file.Object.Key)
		}
	}
	if p.ID != NewID(p.Table.ID, p.Token, p.Files...) {
		fault("the id is not that of table, token and files")
	}
	for _, place := range []Place{p.Raw, p.Staging} {
		if place.Name == "" || place.URI == "" {
			fault("name or uri of a bucket is missing")
		}
	}
	return errors.Join(faults...)
}

// Put writes the plan into the staging bucket. One of the same ID that is there
// already stays as it is: a run may be at work on it.
func Put(ctx context.Context, staging objects.Bucket, p Plan) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("plan of %s: %w", p.Table.ID, err)
	}
	return create(ctx, staging, p.Key(), p)
}

// Get reads a plan and checks it.
func Get(ctx context.Context, staging objects.Bucket, id string) (Plan, error) {
	var p Plan
	if err := read(ctx, staging, Plan{ID: id}.Key(), &p); err != nil {
		return Plan{}, err
	}
	if err := p.Validate(); err != nil {
		return Plan{}, fmt.Errorf("plan %s: %w", id, err)
	}
	return p, nil
}

// Decode reads a plan from its bytes and checks it.
func Decode(data []byte) (Plan, error) {
	var p Plan
	if err := strict(data, &p); err != nil {
		return Plan{}, fmt.Errorf("read a plan: %w", err)
	}
	if err := p.Validate(); err != nil {
		return Plan{}, fmt.Errorf("plan %s: %w", p.ID, err)
	}
	return p, nil
}

// create writes a document, unless its key is taken.
func create(ctx context.Context, bucket objects.Bucket, key string, document any) error {
	data, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	w, err := bucket.Create(ctx, key)
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	if _, err := w.Write(append(data, '\n')); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", key, err), w.Abort())
	}
	if _, err := w.Commit(ctx); err != nil && !errors.Is(err, objects.ErrExists) {
		return fmt.Errorf("commit %s: %w", key, err)
	}
	return nil
}

// maxDocument bounds what is read of either document.
const maxDocument = 64 << 20

func read(ctx context.Context, bucket objects.Bucket, key string, into any) error {
	r, err := bucket.Open(ctx, key, objects.Version{})
	if err != nil {
		return fmt.Errorf("open %s: %w", key, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxDocument))
	if err = errors.Join(err, r.Close()); err == nil {
		err = strict(data, into)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// strict refuses keys that this version does not know: half a plan is none.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
