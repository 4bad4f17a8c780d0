package rows

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
)

// Engine names the engine in manifests. It changes with transform.Engine.
const Engine = "spark/1"

// NoCommand is what the program says when it is started without a command.
const NoCommand = "name a command: read, stage or seal"

// Summary is what came of reading one file: its changes are to be staged (Reading),
// the file is refused (Failure), or it was staged before.
type Summary struct {
	Reading *transform.Reading `json:"reading,omitempty"`
	Failure *transform.Failure `json:"failure,omitempty"`
	Staged  bool               `json:"staged,omitempty"`
}

// FileParts is all that came of one file of a plan.
type FileParts struct {
	File    int                     `json:"file"` // its place in the plan
	Summary Summary                 `json:"summary"`
	Ranges  []transform.StagedRange `json:"ranges"`
	// Found are the shares of the search for the rows that the file changes; none if
	// nobody searched.
	Found []Found `json:"found,omitempty"`
}

// Found is what one share of the search for the rows that a file changes came to: see
// package positions.
type Found struct {
	Share int `json:"share"`
	Of    int `json:"of"`
	// Stale: the snapshot that the plan names is gone, so that nobody can use what the
	// other shares found.
	Stale bool                     `json:"stale,omitempty"`
	Files []transform.PositionFile `json:"files"`
}

// Sealed counts what became of a plan's files.
type Sealed struct {
	Staged  int `json:"staged"`
	Refused int `json:"refused"`
}

// Open opens a bucket; close frees it.
type Open func(ctx context.Context, p plan.Place, readOnly bool) (b objects.Bucket, closeBucket func() error, err error)

// Program is the program around the commands.
type Program struct {
	Open   Open
	Config transform.Config // where the plan says nothing
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
}

// Run runs one command and gives the exit status.
func (p Program) Run(ctx context.Context, args []string) int {
	if err := p.run(ctx, args); err != nil {
		fmt.Fprintln(p.Err, "rows:", err)
		return 1
	}
	return 0
}

func (p Program) run(ctx context.Context, args []string) (fault error) {
	in := bufio.NewReaderSize(p.In, 256<<10)
	if len(args) == 0 {
		return errors.New(NoCommand)
	}
	data, err := ReadDocument(in)
	if err != nil {
		return err
	}
	c := command{in: in, out: bufio.NewWriterSize(p.Out, 256<<10)}
	if c.plan, err = plan.Decode(data); err != nil {
		return err
	}
	c.cfg = limited(p.Config, c.plan.Limits)
	for _, b := range []struct {
		to       *objects.Bucket
		place    plan.Place
		readOnly bool
	}{{&c.deps.Raw, c.plan.Raw, true}, {&c.deps.Failed, c.plan.Failed, true}, {&c.deps.Staging, c.plan.Staging, false}} {
		if b.place == (plan.Place{}) {
			continue // no file lies there
		}
		bucket, closeBucket, err := p.Open(ctx, b.place, b.readOnly)
		if err != nil {
			return err
		}
		*b.to = bucket
		defer func() { fault = errors.Join(fault, closeBucket()) }()
	}
	if err := c.run(ctx, args[0], args[1:]); err != nil {
		return err
	}
	return c.out.Flush()
}

// limited applies the limits of a plan.
func limited(cfg transform.Config, l plan.Limits) transform.Config {
	if l.MaxFieldBytes > 0 {
		cfg.MaxFieldBytes = l.MaxFieldBytes
	}
	if l.MaxFileBytes > 0 {
		cfg.MaxFileBytes = l.MaxFileBytes
	}
	if l.MaxFileRows > 0 {
		cfg.MaxFileRows = l.MaxFileRows
	}
	return cfg
}

// command is one command at work.
type command struct {
	cfg  transform.Config
	plan plan.Plan
	deps transform.Deps
	in   *bufio.Reader
	out  *bufio.Writer
}

func (c *command) run(ctx context.Context, name string, args []string) error {
	if name == "seal" && len(args) == 0 {
		return c.seal(ctx)
	}
	if len(args) != 1 {
		return fmt.Errorf("%s takes the number of a file in the plan", name)
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 0 || n >= len(c.plan.Files) {
		return fmt.Errorf("file %s: the plan has %d", args[0], len(c.plan.Files))
	}
	switch name {
	case "read":
		return c.read(ctx, n)
	case "stage":
		return c.stage(ctx, n)
	}
	return fmt.Errorf("there is no command %s: there are read, stage and seal", name)
}

// defaultRange is how many bytes of changes make a range where the plan says nothing.
const defaultRange = 512 << 20

func (c *command) read(ctx context.Context, n int) error {
	out := &blockWriter{w: c.out}
	rangeBytes := c.plan.Limits.RangeBytes
	if rangeBytes <= 0 {
		rangeBytes = defaultRange
	}
	job := c.plan.Job(n)
	var s Summary
	refused, err := transform.ReadFailure(ctx, c.deps.Staging, job.Table.ID, job.File.ID, job.Token)
	if err != nil {
		return err
	}
	if refused != nil { // an earlier run read the file, and would say the same
		s.Failure = refused
		return c.summarize(out, s)
	}
	reading, done, err := transform.Read(ctx, c.cfg, c.deps, job, rangeBytes, out.change)
	switch {
	case errors.As(err, &s.Failure):
	case err != nil:
		return err
	default:
		s.Reading, s.Staged = reading, done != nil
	}
	return c.summarize(out, s)
}

func (c *command) summarize(out *blockWriter, s Summary) error {
	if err := out.end(); err != nil {
		return err
	}
	return json.NewEncoder(c.out).Encode(s)
}

func (c *command) stage(ctx context.Context, n int) error {
	data, err := ReadDocument(c.in)
	if err != nil {
		return err
	}
	var s Summary
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read the summary of file %d: %w", n, err)
	}
	staged := []transform.StagedRange{}
	changes := &changeReader{in: c.in}
	if s.Reading == nil { // what was read before the fault is worth nothing
		for {
			change, err := changes.next()
			if err != nil {
				return err
			}
			if change == nil {
				return json.NewEncoder(c.out).Encode(staged)
			}
		}
	}
	if staged, err = transform.StageSorted(ctx, c.cfg, c.deps.Staging, c.plan.Job(n), *s.Reading, changes.next); err != nil {
		return err
	}
	return json.NewEncoder(c.out).Encode(staged)
}

// seal writes what tells how files ended: each of them once, in the order of the plan.
func (c *command) seal(ctx context.Context) error {
	var parts []FileParts
	if err := json.NewDecoder(c.in).Decode(&parts); err != nil {
		return fmt.Errorf("read what became of the files: %w", err)
	}
	var sealed Sealed
	last := -1
	for _, p := range parts {
		if p.File <= last || p.File >= len(c.plan.Files) {
			return fmt.Errorf("seal plan %s: file %d of %d stands behind file %d", c.plan.Stage, p.File, len(c.plan.Files), last)
		}
		last = p.File
		refused, err := c.sealFile(ctx, p)
		if err != nil {
			return err
		}
		if refused {
			sealed.Refused++
		} else {
			sealed.Staged++
		}
	}
	return json.NewEncoder(c.out).Encode(sealed)
}

func (c *command) sealFile(ctx context.Context, p FileParts) (refused bool, err error) {
	job, s := c.plan.Job(p.File), p.Summary
	switch {
	case s.Failure != nil:
		return true, transform.WriteFailure(ctx, c.deps.Staging, job.Table.ID, job.File.ID, job.Token, s.Failure)
	case s.Reading != nil:
		// Another run of the plan may have been faster; then what this one read a second
		// time, since Spark had lost it, is nothing.
		if done, err := transform.FindStaged(ctx, c.deps.Staging, job); done != nil || err != nil {
			return false, err
		}
		deletes, err := p.positionDeletes(c.plan.Snapshot)
		if err == nil {
			_, err = transform.Seal(ctx, c.deps.Staging, job, Engine, *s.Reading, p.Ranges, deletes)
		}
		return false, err
	case !s.Staged:
		return false, fmt.Errorf("seal plan %s: nothing tells how file %s was read", c.plan.Stage, job.File.ID)
	}
	return false, nil
}

// positionDeletes puts together what all shares of the search found.
func (p FileParts) positionDeletes(snapshot *transform.Snapshot) (*transform.PositionDeletes, error) {
	if snapshot == nil || len(p.Found) == 0 {
		return nil, nil
	}
	byPath := map[string]transform.PositionFile{}
	shares := map[int]bool{}
	for _, f := range p.Found {
		if f.Stale {
			return nil, nil
		}
		if f.Of != len(p.Found) || f.Share < 0 || f.Share >= f.Of || shares[f.Share] {
			return nil, fmt.Errorf("seal file %d: share %d of %d does not make a whole with the others", p.File, f.Share, f.Of)
		}
		shares[f.Share] = true
		for _, one := range f.Files {
			byPath[one.DataFile] = one
		}
	}
	out := &transform.PositionDeletes{SnapshotID: snapshot.ID, Files: []transform.PositionFile{}}
	for _, f := range snapshot.Files {
		if one, ok := byPath[f.Path]; ok {
			out.Files = append(out.Files, one)
		}
	}
	return out, nil
}
