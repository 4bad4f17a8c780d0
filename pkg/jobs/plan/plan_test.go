package plan_test

import (
	"bytes"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/wire"
)

func maker() plan.Maker {
	return plan.Maker{
		Raw: plan.Place{Name: "raw", URI: "file:///raw"}, Staging: plan.Place{Name: "staging", URI: "s3://staging/x"},
		Limits: plan.Limits{RangeBytes: 77},
	}
}

func TestPlanIsReadAsItWasPut(t *testing.T) {
	raw, staging := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	job.Deadline = time.Date(2024, 1, 15, 9, 0, 0, 0, time.UTC)
	p := maker().Make(job.Table, job.Token, job.Deadline, wire.FileOf(job.File))
	changed := p
	changed.Limits.RangeBytes++
	for _, put := range []plan.Plan{p, changed} { // the second finds the first
		if err := plan.Put(t.Context(), staging, put); err != nil {
			t.Fatal(err)
		}
	}
	if want := "rms/reports/" + job.File.GetFileId() + "/11/plan.json"; p.Key() != want {
		t.Errorf("the plan lies at %s, expected %s", p.Key(), want)
	}
	r, err := staging.Open(t.Context(), p.Key(), objects.Version{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := plan.Decode(data); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("read %+v, %v; put %+v", got, err, p)
	}
	if document, err := jobs.Documents(maker())(job); err != nil || !bytes.Equal(document, data) {
		t.Errorf("the same job has another document (%v): %s", err, document)
	}
	if _, err := plan.Decode(bytes.Replace(data, []byte(`"token"`), []byte(`"tokens"`), 1)); err == nil {
		t.Error("a field that nobody knows was passed over")
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	err := plan.Plan{Stage: "x"}.Validate()
	for _, part := range []string{"format 0", "token is missing", "no file", "the stage is not", "uri of a bucket"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

// TestMendedRowsLieElsewhere: beside files that do not, in one plan.
func TestMendedRowsLieElsewhere(t *testing.T) {
	raw, _ := jobstest.Buckets(t)
	job := jobstest.LoadJob(t, raw)
	file, mended := wire.FileOf(job.File), wire.FileOf(job.File)
	mended.ID, mended.Object.Bucket, mended.Mending = "m", "failed", dms.Mending{FileID: file.ID, Rows: "1"}
	m := maker()
	if p := m.Make(job.Table, job.Token, job.Deadline, file); p.Failed != (plan.Place{}) || p.Validate() != nil {
		t.Errorf("a plan without mended rows names the place %+v (%v)", p.Failed, p.Validate())
	}
	if err := m.Make(job.Table, job.Token, job.Deadline, file, mended).Validate(); err == nil || !strings.Contains(err.Error(), "lies in bucket failed") {
		t.Errorf("mended rows that lie nowhere: %v", err)
	}
	m.Failed = plan.Place{Name: "failed", URI: "s3://failed"}
	if p := m.Make(job.Table, job.Token, job.Deadline, file, mended); p.Raw != m.Raw || p.Failed != m.Failed || p.Validate() != nil {
		t.Errorf("the plan names %+v and %+v (%v)", p.Raw, p.Failed, p.Validate())
	}
}

// TestObject: the bytes of a key stay what they are in the path of an address.
func TestObject(t *testing.T) {
	for _, tt := range []struct{ uri, key, want string }{
		{"s3://staging", "a/b.json", "s3://staging/a/b.json"},
		{"s3://staging/blotter", "a b/c#d?e%f", "s3://staging/blotter/a%20b/c%23d%3Fe%25f"},
		{"s3://staging/blotter/", "a:b", "s3://staging/blotter/a:b"},
		{"file:///var/a%20b", "c", "file:///var/a%20b/c"},
	} {
		if got := (plan.Place{Name: "staging", URI: tt.uri}).Object(tt.key); got != tt.want {
			t.Errorf("%s in %s: %s, expected %s", tt.key, tt.uri, got, tt.want)
		}
	}
}
