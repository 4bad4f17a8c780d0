package positions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
)

// Program is the program around the command.
type Program struct {
	Open   rows.Open
	Config lake.Config
	In     io.Reader
	Out    io.Writer
	Err    io.Writer
}

// Run runs the command and gives the exit status.
func (p Program) Run(ctx context.Context, args []string) int {
	if err := p.run(ctx, args); err != nil {
		fmt.Fprintln(p.Err, "positions:", err)
		return 1
	}
	return 0
}

func (p Program) run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("name the number of a file in the plan, a share, and how many there are")
	}
	var numbers [3]int
	for i, arg := range args {
		var err error
		if numbers[i], err = strconv.Atoi(arg); err != nil || numbers[i] < 0 {
			return fmt.Errorf("%q is no number", arg)
		}
	}
	document, err := rows.ReadDocument(p.In)
	if err != nil {
		return err
	}
	todo, err := plan.Decode(document)
	if err != nil {
		return err
	}
	if document, err = rows.ReadDocument(p.In); err != nil {
		return err
	}
	var parts rows.FileParts
	if err := json.Unmarshal(document, &parts); err != nil {
		return fmt.Errorf("read what was staged of file %d: %w", numbers[0], err)
	}
	switch {
	case numbers[0] >= len(todo.Files):
		return fmt.Errorf("file %d: the plan has %d", numbers[0], len(todo.Files))
	case todo.Snapshot == nil:
		return errors.New("the plan names no snapshot")
	case parts.File != numbers[0] || parts.Summary.Reading == nil:
		return fmt.Errorf("file %d: nothing was staged of it", numbers[0])
	}
	found := rows.Found{Share: numbers[1], Of: numbers[2], Files: []transform.PositionFile{}}
	files, err := p.find(ctx, todo, parts, found)
	switch {
	case errors.Is(err, objects.ErrNotFound):
		found.Stale = true
	case err != nil:
		return err
	default:
		found.Files = files
	}
	return json.NewEncoder(p.Out).Encode(found)
}

func (p Program) find(ctx context.Context, todo plan.Plan, parts rows.FileParts, share rows.Found) (_ []transform.PositionFile, err error) {
	tables, closeTables, err := p.Open(ctx, todo.Tables, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeTables()) }()
	staging, closeStaging, err := p.Open(ctx, todo.Staging, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeStaging()) }()
	warehouse, err := lake.NewIO(tables, todo.Tables.URI)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, warehouse.Close()) }()
	finder, err := lake.NewFinder(p.Config, warehouse, staging)
	if err != nil {
		return nil, err
	}
	job := todo.Job(parts.File)
	staged, err := transform.ManifestOf(job, rows.Engine, *parts.Summary.Reading, parts.Ranges)
	if err != nil {
		return nil, err
	}
	return finder.Find(ctx, lake.FindRequest{Job: job, Manifest: staged, Snapshot: *todo.Snapshot, Share: share.Share, Of: share.Of})
}
