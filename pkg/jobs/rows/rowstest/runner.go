package rowstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
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

// Run implements jobs.Runner, so that the contract of runners is asked of it.
func (s *Runner) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	p, err := s.Maker.Against(ctx, s.Plan(job))
	if err != nil {
		return nil, err
	}
	out, fault := s.Call(ctx, p, nil, "read", "0")
	if fault != "" {
		return nil, errors.New(fault)
	}
	pieces, summary := Blocks(out)
	s.Pieces.Add(int64(len(pieces)))
	slices.SortFunc(pieces, func(a, b Piece) int { return bytes.Compare(a.Place, b.Place) })
	input := WithLength(summary)
	for _, p := range pieces {
		input = append(input, p.Data...)
	}
	out, fault = s.Call(ctx, p, append(input, 0, 0, 0, 0), "stage", "0")
	if fault != "" {
		s.T.Fatal(fault)
	}
	parts := []rows.FileParts{{}}
	if err := errors.Join(json.Unmarshal(summary, &parts[0].Summary), json.Unmarshal(out, &parts[0].Ranges)); err != nil {
		s.T.Fatal(err)
	}
	if p.Snapshot != nil && s.Search != nil && len(parts[0].Ranges) > 0 {
		s.Search(p, &parts[0])
	}
	document, err := json.Marshal(parts)
	if err != nil {
		s.T.Fatal(err)
	}
	if out, fault = s.Call(ctx, p, document, "seal"); fault != "" {
		s.T.Fatal(fault)
	}
	var sealed rows.Sealed
	if err := json.Unmarshal(out, &sealed); err != nil {
		s.T.Fatal(err)
	}
	result, err := transform.FindStaged(ctx, s.Staging, p.Job(0))
	if err != nil {
		return nil, err
	}
	if result != nil {
		if sealed != (rows.Sealed{Staged: 1}) {
			s.T.Errorf("it is staged, but said to be %+v", sealed)
		}
		return result.Staged(), nil
	}
	failure, err := transform.ReadFailure(ctx, s.Staging, p.Table.ID, p.Files[0].ID, p.Token)
	if failure == nil || err != nil {
		s.T.Fatalf("it left nothing (%v)", err)
	}
	if sealed != (rows.Sealed{Refused: 1}) {
		s.T.Errorf("it is refused, but said to be %+v", sealed)
	}
	return nil, failure
}

// Plan gives the plan of a job.
func (s *Runner) Plan(job jobs.Job) plan.Plan {
	return s.Maker.Make(job.Table, job.Token, job.Deadline, wire.FileOf(job.File))
}

var _ jobs.Runner = (*Runner)(nil)
