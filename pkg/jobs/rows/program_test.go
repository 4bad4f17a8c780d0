package rows_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/jobs/rows/rowstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
)

// inFolders is a runner between two folders.
func inFolders(t *testing.T, raw, staging objects.Bucket) *rowstest.Runner {
	return &rowstest.Runner{
		T: t, Open: rows.OpenFolder, Staging: staging,
		Maker: plan.Maker{Raw: rows.FolderPlace(raw.(*local.Bucket)), Staging: rows.FolderPlace(staging.(*local.Bucket))},
	}
}

// TestRunner: a sorter between the commands is all that a runner takes.
func TestRunner(t *testing.T) {
	jobstest.Run(t, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
		return inFolders(t, raw, staging)
	})
}

// TestHugeRowsGoInPieces: however large a field is, what is moved is not.
func TestHugeRowsGoInPieces(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	huge := strings.Repeat("0123456789", 50_000)
	job := jobstest.PutJob(t, raw, "dms/rms/reports/LOAD00000002.csv",
		"2024-01-15 07:00:00,1,"+huge+"a\n2024-01-15 07:00:00,2,"+huge+"b\n2024-01-15 07:00:00,1,"+huge+"c\n")
	s := inFolders(t, raw, staging)
	staged, err := s.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if n, least := s.Pieces.Load(), int64(3*len(huge)/rows.PieceBytes); n < least {
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
	s := inFolders(t, raw, staging)
	p := s.Plan(job)
	out, _ := s.Call(t.Context(), p, nil, "read", "0")
	pieces, summary := rowstest.Blocks(out)
	sorted := append(rowstest.WithLength(summary), pieces[0].Data...)
	for name, call := range map[string]struct {
		input []byte
		args  []string
		says  string
	}{
		"no end mark":     {sorted, []string{"stage", "0"}, "unexpected EOF"},
		"half a change":   {sorted[:len(sorted)-3], []string{"stage", "0"}, "unexpected EOF"},
		"no change":       {append(rowstest.WithLength(summary), 9, 0, 0, 0, 1, 2, 3, 4, 5), []string{"stage", "0"}, "no record"},
		"no summary":      {nil, []string{"stage", "0"}, "length of a document"},
		"no such file":    {nil, []string{"read", "1"}, "the plan has 1"},
		"no such command": {nil, []string{"write", "0"}, "there is no command write"},
		"no file to seal": {[]byte(`[{"file": 1, "summary": {"staged": true}}]`), []string{"seal"}, "file 1 of 1"},
		"a file twice":    {[]byte(`[{"file": 0, "summary": {"staged": true}}, {"file": 0}]`), []string{"seal"}, "file 0 of 1"},
		"nothing known":   {[]byte(`[{"file": 0, "summary": {}}]`), []string{"seal"}, "nothing tells"},
		"rows are missing": {[]byte(`[{"file": 0, "ranges": [], "summary": ` + string(summary) + `}]`), []string{"seal"},
			"the counts leave"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, fault := s.Call(t.Context(), p, call.input, call.args...); !strings.Contains(fault, call.says) {
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

// TestWhatAnotherRunHasStagedIsNothingToRead: Spark may lose what it read, and read the
// file once more, while another run of the same plan comes to its end.
func TestWhatAnotherRunHasStagedIsNothingToRead(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	s := inFolders(t, raw, staging)
	p := s.Plan(job)
	out, _ := s.Call(t.Context(), p, nil, "read", "0")
	_, summary := rowstest.Blocks(out)
	want, err := s.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	out, _ = s.Call(t.Context(), p, nil, "read", "0")
	if pieces, again := rowstest.Blocks(out); len(pieces) != 0 || string(again) != `{"staged":true}`+"\n" {
		t.Errorf("a staged file gives %d changes and %s", len(pieces), again)
	}
	out, fault := s.Call(t.Context(), p, []byte(`[{"file": 0, "ranges": [], "summary": `+string(summary)+`}]`), "seal")
	if fault != "" || string(out) != `{"staged":1,"refused":0}`+"\n" {
		t.Errorf("it is sealed as %s %s", out, fault)
	}
	if again, err := s.Run(t.Context(), job); err != nil || !proto.Equal(again, want) {
		t.Errorf("it is staged as %v (%v), was as %v", again, err, want)
	}
}

// TestARefusedFileIsNotReadAgain: a run that does the rest of a plan takes the failure.
func TestARefusedFileIsNotReadAgain(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	s := inFolders(t, raw, staging)
	was := &transform.Failure{Code: "csv.columns", Message: "as it was"}
	p := s.Plan(job)
	if err := transform.WriteFailure(t.Context(), staging, p.Table.ID, p.Files[0].ID, p.Token, was); err != nil {
		t.Fatal(err)
	}
	_, err := s.Run(t.Context(), job)
	var failure *transform.Failure
	if !errors.As(err, &failure) || failure.Message != was.Message || s.Pieces.Load() != 0 {
		t.Errorf("it ended with %v, and %d changes were read", err, s.Pieces.Load())
	}
}
