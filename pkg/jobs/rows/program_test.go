package rows_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// spark does with the program for rows what the Spark job does, sorting in memory.
type spark struct {
	t            *testing.T
	raw, staging objects.Bucket
	rangeBytes   int64
	pieces       atomic.Int64 // that were moved
}

func (*spark) Name() string { return "spark in a test" }

// call runs one command and gives its output, or what it says of a fault.
func (s *spark) call(ctx context.Context, p plan.Plan, input []byte, args ...string) ([]byte, string) {
	s.t.Helper()
	document, err := json.Marshal(p)
	if err != nil {
		s.t.Fatal(err)
	}
	in := append(withLength(document), input...)
	var out, fault bytes.Buffer
	status := rows.Program{
		Open: rows.OpenFolder, Config: transform.DefaultConfig(), In: bytes.NewReader(in), Out: &out, Err: &fault,
	}.Run(ctx, args)
	if (status == 0) != (fault.Len() == 0) {
		s.t.Errorf("%v ended with status %d and says %q", args, status, fault.String())
	}
	return out.Bytes(), fault.String()
}

func withLength(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// piece is a row as Spark moves it.
type piece struct{ place, data []byte }

// blocks reads the blocks of a read, and gives what follows them.
func blocks(out []byte) (pieces []piece, rest []byte) {
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
			pieces = append(pieces, piece{out[ends[0][i]:ends[0][i+1]], out[places:][ends[1][i]:ends[1][i+1]]})
		}
		out = out[places+data:]
	}
}

// Run makes it a jobs.Runner, so that the contract of runners is asked of it.
func (s *spark) Run(ctx context.Context, job jobs.Job) (*blotterv1.StagedFile, error) {
	p := s.plan(job)
	out, fault := s.call(ctx, p, nil, "read", "0")
	if fault != "" {
		return nil, errors.New(fault)
	}
	pieces, summary := blocks(out)
	s.pieces.Add(int64(len(pieces)))
	slices.SortFunc(pieces, func(a, b piece) int { return bytes.Compare(a.place, b.place) })
	input := withLength(summary)
	for _, p := range pieces {
		input = append(input, p.data...)
	}
	out, fault = s.call(ctx, p, append(input, 0, 0, 0, 0), "stage", "0")
	if fault != "" {
		s.t.Fatal(fault)
	}
	parts := `[{"file": 0, "summary": ` + string(summary) + `, "ranges": ` + string(out) + `}]`
	if out, fault = s.call(ctx, p, []byte(parts), "seal"); fault != "" {
		s.t.Fatal(fault)
	}
	var sealed rows.Sealed
	if err := json.Unmarshal(out, &sealed); err != nil {
		s.t.Fatal(err)
	}
	result, err := transform.FindStaged(ctx, s.staging, p.Job(0))
	if err != nil {
		return nil, err
	}
	if result != nil {
		if sealed != (rows.Sealed{Staged: 1}) {
			s.t.Errorf("it is staged, but said to be %+v", sealed)
		}
		return result.Staged(), nil
	}
	failure, err := transform.ReadFailure(ctx, s.staging, p.Table.ID, p.Files[0].ID, p.Token)
	if failure == nil || err != nil {
		s.t.Fatalf("it left nothing (%v)", err)
	}
	if sealed != (rows.Sealed{Refused: 1}) {
		s.t.Errorf("it is refused, but said to be %+v", sealed)
	}
	return nil, failure
}

func (s *spark) plan(job jobs.Job) plan.Plan {
	m := plan.Maker{
		Raw: rows.FolderPlace(s.raw.(*local.Bucket)), Staging: rows.FolderPlace(s.staging.(*local.Bucket)),
		Limits: plan.Limits{RangeBytes: s.rangeBytes},
	}
	return m.Make(job.Table, job.Token, job.Deadline, wire.FileOf(job.File))
}

// TestRunner: a sorter between the commands is all that a runner takes.
func TestRunner(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
		return &spark{t: t, raw: raw, staging: staging}
	})
}

// TestHugeRowsGoInPieces: however large a field is, what is moved is not.
func TestHugeRowsGoInPieces(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	huge := strings.Repeat("0123456789", 50_000)
	job := jobstest.PutJob(t, raw, "dms/rms/reports/LOAD00000002.csv",
		"2024-01-15 07:00:00,1,"+huge+"a\n2024-01-15 07:00:00,2,"+huge+"b\n2024-01-15 07:00:00,1,"+huge+"c\n")
	s := &spark{t: t, raw: raw, staging: staging}
	staged, err := s.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if n, least := s.pieces.Load(), int64(3*len(huge)/rows.PieceBytes); n < least {
		t.Errorf("%d pieces, at least %d are needed", n, least)
	}
	m, err := transform.ReadManifest(t.Context(), staging, staged.GetManifestKey(), staged.GetManifestSha256())
	if err != nil {
		t.Fatal(err)
	}
	if m.Engine != rows.Engine || m.Counts.DuplicatesDropped != 1 || len(m.Rows) != 1 || m.Rows[0].Rows != 2 {
		t.Errorf("staged %+v", m)
	}
	r, err := transform.OpenStaged(t.Context(), staging, m.Rows[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var got []string
	for row, err := range r.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row[1].String()[len(huge):])
	}
	if !slices.Equal(got, []string{"c", "b"}) {
		t.Errorf("the rows end with %v", got)
	}
}

// TestFaultsOfTheCallerPass: what a task that dies half way leaves is no end of a
// file, and says nothing of it.
func TestFaultsOfTheCallerPass(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	s := &spark{t: t, raw: raw, staging: staging}
	p := s.plan(job)
	out, _ := s.call(t.Context(), p, nil, "read", "0")
	pieces, summary := blocks(out)
	sorted := append(withLength(summary), pieces[0].data...)
	for name, call := range map[string]struct {
		input []byte
		args  []string
		says  string
	}{
		"no end mark":     {sorted, []string{"stage", "0"}, "unexpected EOF"},
		"half a change":   {sorted[:len(sorted)-3], []string{"stage", "0"}, "unexpected EOF"},
		"no change":       {append(withLength(summary), 9, 0, 0, 0, 1, 2, 3, 4, 5), []string{"stage", "0"}, "no record"},
		"no summary":      {nil, []string{"stage", "0"}, "length of a document"},
		"no such file":    {nil, []string{"read", "1"}, "the plan has 1"},
		"no such command": {nil, []string{"write", "0"}, "there is no command write"},
		"not all files":   {[]byte("[]"), []string{"seal"}, "0 files are accounted for"},
		"nothing known":   {[]byte(`[{"file": 0, "summary": {}}]`), []string{"seal"}, "nothing tells"},
		"rows are missing": {[]byte(`[{"file": 0, "ranges": [], "summary": ` + string(summary) + `}]`), []string{"seal"},
			"the counts leave"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, fault := s.call(t.Context(), p, call.input, call.args...); !strings.Contains(fault, call.says) {
				t.Errorf("it says %q, expected %q", fault, call.says)
			}
		})
	}
	for info, err := range staging.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(info.Key, ".json") {
			t.Errorf("%s was left", info.Key)
		}
	}
}
