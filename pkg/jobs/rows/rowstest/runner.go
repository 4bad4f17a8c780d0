package rowstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Runner does with the program for rows what the Spark job does, sorting in memory.
// It may be used by many goroutines.
type Runner struct {
	T       *testing.T
	Open    rows.Open
	Maker   plan.Maker
	Staging objects.Bucket // as the test sees it
	Pieces  atomic.Int64   // that were moved
	// Search, if set, stands for the program for positions: it is given what a plan
	// against a snapshot has staged, and adds what it finds.
	Search func(p plan.Plan, parts *rows.FileParts)
}

// Name implements jobs.Runner.
func (*Runner) Name() string { return "spark in a test" }

// Call runs one command and gives its output, or what it says of a fault.
func (s *Runner) Call(ctx context.Context, p plan.Plan, input []byte, args ...string) ([]byte, string) {
	s.T.Helper()
	document, err := json.Marshal(p)
	if err != nil {
		s.T.Fatal(err)
	}
	in := append(WithLength(document), input...)
	var out, fault bytes.Buffer
	status := rows.Program{
		Open: s.Open, Config: transform.DefaultConfig(), In: bytes.NewReader(in), Out: &out, Err: &fault,
	}.Run(ctx, args)
	if (status == 0) != (fault.Len() == 0) {
		s.T.Errorf("%v ended with status %d and says %q", args, status, fault.String())
	}
	return out.Bytes(), fault.String()
}

// WithLength puts the length of a document before it.
func WithLength(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// Piece is a row as Spark moves it.
type Piece struct{ Place, Data []byte }

// Blocks reads the blocks of a read, and gives what follows them.
func Blocks(out []byte) (pieces []Piece, rest []byte) {
	number := func() int {
		n := binary.LittleEndian.Uint32(out)
		out = out[4:]
		return int(n)
	}
	for {
		n, places, data := number(), number(), number()
		if n == 0 {
			return pieces, out
		}
		var ends [2][]int
		for i := range ends {
			for range n + 1 {
				ends[i] = append(ends[i], number())
			}
		}
		for i := range n {
			pieces = append(pieces, Piece{out[ends[0][i]:ends[0][i+1]], out[places:][ends[1][i]:ends[1][i+1]]})
		}
		out = out[places+data:]
	}
}

// Run implements jobs.Runner.
func (s *Runner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	return jobs.RunOne(ctx, s, job)
}

// RunBatch implements jobs.Batcher, so that the contract of runners is asked of it.
func (s *Runner) RunBatch(ctx context.Context, b jobs.Batch, _ jobs.Watch) ([]jobs.Outcome, error) {
	outcomes := make([]jobs.Outcome, len(b.Files))
	p, err := s.Maker.Against(ctx, jobs.PlanOf(s.Maker, b))
	if err != nil {
		return outcomes, err
	}
	parts := make([]rows.FileParts, len(b.Files))
	for n := range parts {
		if parts[n], err = s.stage(ctx, p, n); err != nil {
			return outcomes, err
		}
	}
	document, err := json.Marshal(parts)
	if err != nil {
		s.T.Fatal(err)
	}
	out, fault := s.Call(ctx, p, document, "seal")
	if fault != "" {
		return outcomes, errors.New(fault)
	}
	var sealed, want rows.Sealed
	if err := json.Unmarshal(out, &sealed); err != nil {
		s.T.Fatal(err)
	}
	all, err := jobs.Left(ctx, s.Staging, b, outcomes)
	if err != nil {
		return outcomes, err
	}
	for _, o := range outcomes {
		if o.Staged != nil {
			want.Staged++
		} else {
			want.Refused++
		}
	}
	if !all || sealed != want {
		s.T.Errorf("it left %+v, and is said to have %+v", outcomes, sealed)
	}
	return outcomes, nil
}

// stage reads, sorts and stages one file of a plan.
func (s *Runner) stage(ctx context.Context, p plan.Plan, n int) (rows.FileParts, error) {
	part, number := rows.FileParts{File: n}, strconv.Itoa(n)
	out, fault := s.Call(ctx, p, nil, "read", number)
	if fault != "" {
		return part, errors.New(fault)
	}
	pieces, summary := Blocks(out)
	s.Pieces.Add(int64(len(pieces)))
	slices.SortFunc(pieces, func(a, b Piece) int { return bytes.Compare(a.Place, b.Place) })
	input := WithLength(summary)
	for _, p := range pieces {
		input = append(input, p.Data...)
	}
	if out, fault = s.Call(ctx, p, append(input, 0, 0, 0, 0), "stage", number); fault != "" {
		return part, errors.New(fault)
	}
	if err := errors.Join(json.Unmarshal(summary, &part.Summary), json.Unmarshal(out, &part.Ranges)); err != nil {
		s.T.Fatal(err)
	}
	if p.Snapshot != nil && s.Search != nil && len(part.Ranges) > 0 {
		s.Search(p, &part)
	}
	return part, nil
}

// Plan gives the plan of a job.
func (s *Runner) Plan(job jobs.Job) plan.Plan { return jobs.PlanOf(s.Maker, job.Batch()) }

var _ jobs.Batcher = (*Runner)(nil)
