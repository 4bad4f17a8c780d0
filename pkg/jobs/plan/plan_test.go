package plan_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
)

func TestPlanIsReadAsItWasPut(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	p := plan.New(job.Table, job.Token, wire.FileOf(job.File))
	p.Raw, p.Staging = plan.Place{Name: "raw", URI: "file:///raw"}, plan.Place{Name: "staging", URI: "s3://staging/x"}
	p.Deadline = time.Date(2024, 1, 15, 9, 0, 0, 0, time.UTC)
	p.Limits.RangeBytes = 77
	if err := plan.Put(t.Context(), staging, p); err != nil {
		t.Fatal(err)
	}
	changed := p
	changed.Limits.RangeBytes = 78
	if err := plan.Put(t.Context(), staging, changed); err != nil {
		t.Errorf("a plan that is there already: %v", err)
	}
	got, err := plan.Get(t.Context(), staging, p.ID)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("read %+v, %v; put %+v", got, err, p)
	}
	if want := "s3://staging/x/@plans/" + p.ID + ".json"; p.URI() != want {
		t.Errorf("the plan lies at %s, expected %s", p.URI(), want)
	}
}

func TestPlansDifferByTableTokenAndFiles(t *testing.T) {
	table, other := dms.TableID{DB: "rms", Table: "a"}, dms.TableID{DB: "rms", Table: "b"}
	one, two := dms.File{ID: "1"}, dms.File{ID: "2"}
	ids := map[string]bool{}
	for _, id := range []string{
		plan.NewID(table, 1, one), plan.NewID(other, 1, one), plan.NewID(table, 2, one), plan.NewID(table, 1, two),
		plan.NewID(table, 1, one, two), plan.NewID(table, 1, two, one),
	} {
		ids[id] = true
	}
	if len(ids) != 6 {
		t.Errorf("6 runs have %d identities", len(ids))
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	err := plan.Plan{}.Validate()
	for _, part := range []string{"format 0", "token is missing", "no file", "the id is not", "uri of a bucket"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

// TestNoJobTakesATransactionFile: it would take the rows of all tables in it.
func TestNoJobTakesATransactionFile(t *testing.T) {
	for _, file := range []dms.File{
		{ID: "1", Kind: dms.KindTransaction}, {ID: "2", Kind: dms.KindChange, Part: dms.Part{FileID: "1", Schema: "rms", Table: "a"}},
	} {
		if err := (plan.Plan{Files: []dms.File{file}}).Validate(); err == nil || !strings.Contains(err.Error(), "is a transaction file") {
			t.Errorf("%v: %v", file, err)
		}
	}
}

func TestOutcomeAnswersForEachFile(t *testing.T) {
	_, staging := jobstest.Buckets(t)
	staged := &transform.Result{ManifestKey: "k", ManifestSHA256: "h", Manifest: transform.Manifest{FileID: "1", Token: 3,
		Counts: transform.Counts{RowsRead: 2, Inserts: 2}}}
	failed := &transform.Failure{Code: transform.CodeKeyNull, Row: 2, Column: "id", Message: "m"}
	var o plan.Outcome
	o.ID = "p"
	for id, end := range map[dms.FileID]struct {
		result *transform.Result
		err    error
	}{"1": {result: staged}, "2": {err: failed}} {
		f, err := plan.OutcomeOf(id, end.result, end.err)
		if err != nil {
			t.Fatal(err)
		}
		o.Files = append(o.Files, f)
	}
	if _, err := plan.GetOutcome(t.Context(), staging, "p"); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("before its end a plan answers %v", err)
	}
	if err := plan.PutOutcome(t.Context(), staging, o); err != nil {
		t.Fatal(err)
	}
	got, err := plan.GetOutcome(t.Context(), staging, "p")
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := got.Answer("1"); err != nil || !proto.Equal(answer, staged.Staged()) {
		t.Errorf("file 1: %v, %v", answer, err)
	}
	var failure *transform.Failure
	if _, err := got.Answer("2"); !errors.As(err, &failure) || *failure != *failed {
		t.Errorf("file 2: %v", err)
	}
	if _, err := got.Answer("3"); err == nil || errors.As(err, &failure) {
		t.Errorf("file 3: %v", err)
	}
	passing := errors.New("the network")
	if _, err := plan.OutcomeOf("1", nil, passing); !errors.Is(err, passing) {
		t.Errorf("a fault that may pass became %v", err)
	}
}
