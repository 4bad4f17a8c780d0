package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
)

// Config bounds the work.
type Config struct {
	Transform transform.Config
	// Batch is how many files are staged and published at once.
	Batch int
	// Findings is how many files at fault are named of each kind.
	Findings int
}

// DefaultConfig gives limits for one machine.
func DefaultConfig() Config {
	return Config{Transform: transform.DefaultConfig(), Batch: 128, Findings: 1000}
}

// Deps are what a rebuild works with. Source buckets are only read.
type Deps struct {
	Raw, Staging, Failed objects.Bucket
	// Into is the lake that is filled, without the table; Scratch is its staging bucket,
	// which is empty and cleared again.
	Into    *lake.Lake
	Scratch objects.Bucket
	// Progress, if set, is told after each batch how many files are done.
	Progress func(done, all int)
}

// Finding is one file of which something is not as the log says.
type Finding struct {
	FileID dms.FileID `json:"file_id"`
	Key    string     `json:"key"`
	Bucket string     `json:"bucket"`
	// Version is the object's version id, else its ETag.
	Version string `json:"version,omitempty"`
	Detail  string `json:"detail"`
}

// Rebuilt tells of the files that a table was rebuilt from.
type Rebuilt struct {
	Files int `json:"files"`
	// Identical were staged with the very bytes whose hash the log holds; of the others
	// only the rows can be compared, since another engine staged them.
	Identical int `json:"identical"`
	// Gone are files whose raw version is gone. Of those that are not Lost, the staged
	// output is still there, with the hash that the log holds, and was taken.
	Gone []Finding `json:"gone,omitempty"`
	Lost []Finding `json:"lost,omitempty"`
	// Changed were staged differently from what the log holds, by the same engine.
	Changed []Finding `json:"changed,omitempty"`
	More    int       `json:"more,omitempty"` // findings that are not listed
	// Snapshot is the one with the rows, in the lake that was filled; 0: nothing of the
	// table could be rebuilt.
	Snapshot int64 `json:"-"`

	lost map[dms.FileID]bool
}

// Faultless reports whether every file could be read, and gave what it gave before.
func (r *Rebuilt) Faultless() bool { return len(r.Gone)+len(r.Lost)+len(r.Changed)+r.More == 0 }

// Run fills the table of deps.Into with the rows of a history.
func Run(ctx context.Context, cfg Config, deps Deps, h *History) (*Rebuilt, error) {
	r := &run{cfg: cfg, deps: deps, history: h, out: &Rebuilt{lost: map[dms.FileID]bool{}}}
	for _, p := range h.Publications {
		if err := r.publication(ctx, p); err != nil {
			return nil, fmt.Errorf("rebuild %s: %w", h.Table, err)
		}
	}
	if err := r.flush(ctx); err != nil {
		return nil, fmt.Errorf("rebuild %s: %w", h.Table, err)
	}
	return r.out, nil
}

// run is one rebuild.
type run struct {
	cfg     Config
	deps    Deps
	history *History
	out     *Rebuilt
	token   uint64 // of the last commit
	staged  uint64 // the newest one under which a file was staged
	batches int
	spec    uint64 // the registration of the batch
	batch   []lake.Part
}

// publication stages the files of one publication. A batch holds files of one
// registration, so that the schema grows as it did.
func (r *run) publication(ctx context.Context, p Publication) error {
	if r.spec != p.SpecVersion {
		if err := r.flush(ctx); err != nil {
			return err
		}
		r.spec = p.SpecVersion
	}
	for _, f := range p.Files {
		if slices.ContainsFunc(r.batch, func(b lake.Part) bool { return b.FileID == f.ID }) {
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
		part, err := r.stage(ctx, f)
		if err != nil {
			return fmt.Errorf("file %s (%s): %w", f.ID, f.Object.Key, err)
		}
		r.out.Files++
		if part == nil {
			continue
		}
		r.staged = max(r.staged, f.Token)
		if r.batch = append(r.batch, *part); len(r.batch) < r.cfg.Batch {
			continue
		}
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flush publishes the batch; the first one of all replaces an empty table.
func (r *run) flush(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	r.token = max(r.token+1, r.staged)
	req := lake.Request{Spec: r.history.Specs[r.spec], Token: r.token, Mode: lake.Merge, Generation: 1, Parts: r.batch}
	if r.batches == 0 {
		req.Mode = lake.Replace
	}
	result, err := r.deps.Into.Publish(ctx, req)
	if err != nil {
		return err
	}
	r.batch, r.out.Snapshot = nil, result.SnapshotID
	if err := r.tidy(ctx, req.Spec); err != nil {
		return err
	}
	if r.deps.Progress != nil {
		r.deps.Progress(r.out.Files, r.history.Files())
	}
	return clearBucket(ctx, r.deps.Scratch)
}

// tidyEvery is after how many batches the rebuilt table is tidied, so that merging
// into it stays fast, and tidySteps how many steps that may take.
const tidyEvery, tidySteps = 16, 64

func (r *run) tidy(ctx context.Context, spec registry.Table) error {
	if r.batches++; r.batches%tidyEvery > 0 {
		return nil
	}
	for range tidySteps {
		r.token++
		result, err := r.deps.Into.Maintain(ctx, spec, lake.Turn{Token: r.token})
		if err != nil {
			return fmt.Errorf("tidy the rebuilt table: %w", err)
		}
		if r.out.Snapshot = result.SnapshotID; !result.Maintained.More {
			return nil
		}
	}
	return nil
}

func clearBucket(ctx context.Context, bucket objects.Bucket) error {
	var keys []string
	for info, err := range bucket.List(ctx, "") {
		if err != nil {
			return fmt.Errorf("clear the scratch folder: %w", err)
		}
		keys = append(keys, info.Key)
	}
	for _, key := range keys {
		if err := bucket.Remove(ctx, key); err != nil {
			return fmt.Errorf("clear the scratch folder: %w", err)
		}
	}
	return nil
}

// stage makes the staged output of a file again; nil if it is lost.
func (r *run) stage(ctx context.Context, f File) (*lake.Part, error) {
	spec, ok := r.history.Specs[f.SpecVersion]
	if !ok {
		return nil, fmt.Errorf("it was staged by registration %d, which the log does not hold", f.SpecVersion)
	}
	result, err := transform.Run(ctx, r.cfg.Transform, transform.Deps{Raw: r.deps.Raw, Staging: r.deps.Scratch, Failed: r.deps.Failed},
		transform.Job{Table: spec, File: f.File, Token: f.Token})
	var refused *transform.Failure
	switch {
	case err == nil:
		if err := r.hold(ctx, f, result); err != nil {
			return nil, err
		}
		return &lake.Part{FileID: f.ID, Kind: f.Kind, ManifestKey: result.ManifestKey, ManifestSHA256: result.ManifestSHA256}, nil
	case !errors.As(err, &refused):
		return nil, err
	}
	// What a transform has left counts for nothing, and would be in the way.
	if err := r.unstage(ctx, f); err != nil {
		return nil, err
	}
	if refused.Code == transform.CodeObjectGone || refused.Code == transform.CodeObjectChanged {
		r.note(&r.out.Gone, f, refused.Message)
	} else {
		r.note(&r.out.Changed, f, "it was published, and the transform refuses it now: "+refused.Code+": "+refused.Message)
	}
	part, err := r.takeStaged(ctx, f)
	if errors.Is(err, objects.ErrNotFound) || errors.Is(err, transform.ErrCorrupt) {
		r.out.lost[f.ID] = true
		detail := "its staged output is gone, too"
		if errors.Is(err, transform.ErrCorrupt) {
			detail = "its staged output is not the one whose hash the log holds"
		}
		r.note(&r.out.Lost, f, detail)
		return nil, nil
	}
	return part, err
}

func (r *run) unstage(ctx context.Context, f File) error {
	for info, err := range r.deps.Scratch.List(ctx, transform.StagePrefix(r.history.Table, f.ID, f.Token)) {
		if err != nil {
			return fmt.Errorf("clear the scratch folder: %w", err)
		}
		if err := r.deps.Scratch.Remove(ctx, info.Key); err != nil {
			return fmt.Errorf("clear the scratch folder: %w", err)
		}
	}
	return nil
}

// hold compares what was staged with what the log says was staged.
func (r *run) hold(ctx context.Context, f File, result *transform.Result) error {
	if result.ManifestSHA256 == f.ManifestSHA256 {
		r.out.Identical++
		return nil
	}
	was, err := transform.ReadManifest(ctx, r.deps.Staging, f.ManifestKey, f.ManifestSHA256)
	switch {
	case errors.Is(err, objects.ErrNotFound):
		r.note(&r.out.Changed, f, "its staged output has not the hash that the log holds, and the first one is gone, so that nothing tells in what")
	case errors.Is(err, transform.ErrCorrupt):
		r.note(&r.out.Changed, f, "its staged output is not the one whose hash the log holds")
	case err != nil:
		return err
	case was.Input.SHA256 != result.Manifest.Input.SHA256:
		r.note(&r.out.Changed, f, fmt.Sprintf("the raw object has SHA-256 %s, it was %s when it was read", result.Manifest.Input.SHA256, was.Input.SHA256))
	case was.Engine == result.Manifest.Engine && sameNames(was, result.Manifest) || was.Counts != result.Manifest.Counts:
		r.note(&r.out.Changed, f, "the same bytes gave other rows when they were published")
	}
	return nil
}

// sameNames reports whether two engines cut their output alike: one that stages by
// ranges of keys makes other files of the same rows.
func sameNames(a, b transform.Manifest) bool {
	if len(a.Rows) != len(b.Rows) || len(a.Deletes) != len(b.Deletes) {
		return false
	}
	for i := range a.Rows {
		if a.Rows[i].Key != b.Rows[i].Key {
			return false
		}
	}
	for i := range a.Deletes {
		if a.Deletes[i].Key != b.Deletes[i].Key {
			return false
		}
	}
	return true
}

// takeStaged copies the staged output of the live system, its hashes checked.
func (r *run) takeStaged(ctx context.Context, f File) (*lake.Part, error) {
	m, err := transform.ReadManifest(ctx, r.deps.Staging, f.ManifestKey, f.ManifestSHA256)
	if err != nil {
		return nil, err
	}
	for _, files := range [][]transform.StagedParquet{m.Rows, m.Deletes, m.Rejected} {
		for _, s := range files {
			if _, err := r.deps.Scratch.Copy(ctx, r.deps.Staging, s.Key, objects.Version{}, s.Key); err != nil {
				return nil, fmt.Errorf("copy %s: %w", s.Key, err)
			}
			if err := transform.VerifySHA256(ctx, r.deps.Scratch, s); err != nil {
				return nil, errors.Join(err, r.unstage(ctx, f))
			}
		}
	}
	if _, err := r.deps.Scratch.Copy(ctx, r.deps.Staging, f.ManifestKey, objects.Version{}, f.ManifestKey); err != nil {
		return nil, fmt.Errorf("copy %s: %w", f.ManifestKey, err)
	}
	return &lake.Part{FileID: f.ID, Kind: f.Kind, ManifestKey: f.ManifestKey, ManifestSHA256: f.ManifestSHA256}, nil
}

func (r *run) note(list *[]Finding, f File, detail string) {
	if len(*list) >= r.cfg.Findings {
		r.out.More++
		return
	}
	version := f.Object.VersionID
	if version == "" {
		version = f.Object.ETag
	}
	*list = append(*list, Finding{FileID: f.ID, Key: f.Object.Key, Bucket: f.Object.Bucket, Version: version, Detail: detail})
}

// Print lists the findings for a person.
func (r *Rebuilt) Print(out io.Writer) {
	for _, kind := range []struct {
		title string
		list  []Finding
	}{
		{"raw versions that are gone", r.Gone},
		{"files of which nothing is left: the rows that they gave cannot be made again", r.Lost},
		{"files that are not staged as the log says", r.Changed},
	} {
		if len(kind.list) == 0 {
			continue
		}
		fmt.Fprintf(out, "  %s:\n", kind.title)
		for _, f := range kind.list {
			version := ""
			if f.Version != "" {
				version = ", version " + strings.Trim(f.Version, `"`)
			}
			fmt.Fprintf(out, "    %s/%s%s (file %s): %s\n", f.Bucket, f.Key, version, f.FileID, f.Detail)
		}
	}
	if r.More > 0 {
		fmt.Fprintf(out, "    and %d more\n", r.More)
	}
}
