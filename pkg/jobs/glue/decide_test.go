package glue

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/transform"
)

func TestNext(t *testing.T) {
	is := func(attempt int, state types.JobRunState) run { return run{id: "jr", attempt: attempt, state: state} }
	alive, failed := is(1, types.JobRunStateRunning), is(1, types.JobRunStateFailed)
	for name, test := range map[string]struct {
		facts facts
		want  step
		code  string
	}{
		"nothing is known":                     {facts{}, stepRead, ""},
		"nothing is there":                     {facts{read: true}, stepAnnounce, ""},
		"staged by another engine":             {facts{read: true, done: true}, stepTake, ""},
		"announced here":                       {facts{announced: 1, mine: true, read: true}, stepStart, ""},
		"announced by another":                 {facts{announced: 1}, stepLook, ""},
		"nothing is listed":                    {facts{announced: 1, looked: true}, stepRead, ""},
		"nothing is listed yet":                {facts{announced: 1, looked: true, read: true}, stepLookLate, ""},
		"nothing was started":                  {facts{announced: 1, looked: true, settled: true, read: true}, stepAnnounce, ""},
		"it runs":                              {facts{announced: 1, looked: true, runs: []run{alive}}, stepFollow, ""},
		"a state of tomorrow":                  {facts{announced: 1, looked: true, runs: []run{is(1, "PAUSED")}}, stepFollow, ""},
		"it is queued":                         {facts{announced: 1, looked: true, runs: []run{is(1, types.JobRunStateWaiting)}}, stepFollow, ""},
		"it ended":                             {facts{announced: 1, looked: true, runs: []run{failed}}, stepRead, ""},
		"it ended with a result":               {facts{announced: 1, looked: true, read: true, done: true, runs: []run{failed}}, stepTake, ""},
		"a result of a run that is not listed": {facts{announced: 1, looked: true, read: true, done: true}, stepLookLate, ""},
		"… and never will be":                  {facts{announced: 1, looked: true, settled: true, read: true, done: true}, stepTake, ""},
		"one ended with a result, one runs":    {facts{announced: 2, looked: true, read: true, done: true, runs: []run{failed, is(2, types.JobRunStateRunning)}}, stepTake, ""},
		"one ended with nothing, one runs":     {facts{announced: 2, looked: true, read: true, runs: []run{failed, is(2, types.JobRunStateRunning)}}, stepFollow, ""},
		"it ended badly":                       {facts{announced: 1, looked: true, read: true, runs: []run{failed}}, stepAnnounce, ""},
		"it ended badly, the next is lost":     {facts{announced: 2, looked: true, read: true, runs: []run{failed}}, stepLookLate, ""},
		"it ended badly three times": {facts{announced: 3, looked: true, settled: true, read: true,
			runs: []run{failed, is(2, types.JobRunStateError), is(3, types.JobRunStateExpired)}}, stepFail, "glue.expired"},
		"it was stopped":            {facts{announced: 2, looked: true, read: true, runs: []run{failed, is(2, types.JobRunStateStopped)}}, stepFail, "glue.stopped"},
		"no start came to anything": {facts{announced: 9, looked: true, settled: true, read: true}, stepFail, "glue.unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			got, failure := next(DefaultConfig(), "job", test.facts)
			if got != test.want {
				t.Errorf("step %d, expected %d", got, test.want)
			}
			if code := codeOf(failure); code != test.code {
				t.Errorf("failure %q, expected %q", code, test.code)
			}
		})
	}
}

func codeOf(f *transform.Failure) string {
	if f == nil {
		return ""
	}
	return f.Code
}

func TestOnlyTheClassOfAnErrorIsTaken(t *testing.T) {
	for message, want := range map[string]string{
		"Error Category: PERMISSION_ERROR; Failed Line Number: 3; Jane Doe": "PERMISSION_ERROR",
		"Jane Doe. Error Category: PERMISSION_ERROR;":                       "",
		"Error Category: Jane;":                                             "",
		"":                                                                  "",
	} {
		if got := categoryOf(message); got != want {
			t.Errorf("%q: %q, expected %q", message, got, want)
		}
	}
}

// TestCapacity: Glue tells it of some runs only.
func TestCapacity(t *testing.T) {
	for _, tt := range []struct {
		run  types.JobRun
		want float64
	}{
		{types.JobRun{MaxCapacity: aws.Float64(10), NumberOfWorkers: aws.Int32(3)}, 10},
		{types.JobRun{WorkerType: types.WorkerTypeG1x, NumberOfWorkers: aws.Int32(10)}, 10},
		{types.JobRun{WorkerType: types.WorkerTypeG4x, NumberOfWorkers: aws.Int32(3)}, 12},
		{types.JobRun{WorkerType: "R.16X", NumberOfWorkers: aws.Int32(2)}, 32},
		{types.JobRun{WorkerType: types.WorkerTypeG025x, NumberOfWorkers: aws.Int32(2)}, 0.5},
		{types.JobRun{WorkerType: types.WorkerTypeStandard, NumberOfWorkers: aws.Int32(2)}, 2},
		{types.JobRun{}, 0},
	} {
		if got := capacity(tt.run); got != tt.want {
			t.Errorf("%v × %s: %v, expected %v", aws.ToInt32(tt.run.NumberOfWorkers), tt.run.WorkerType, got, tt.want)
		}
	}
}

func TestJobName(t *testing.T) {
	for ref, want := range map[string]string{
		"transform": "transform",
		"arn:aws:glue:eu-west-1:123456789012:job/transform":            "transform",
		"arn:aws-us-gov:glue:us-gov-west-1:123456789012:job/a/strange": "a/strange",
	} {
		if got := jobName(ref); got != want {
			t.Errorf("%q: %q, expected %q", ref, got, want)
		}
	}
}

func TestFileOfStage(t *testing.T) {
	table := dms.TableID{DB: "rms", Table: "odd/name"}
	stage := transform.StagePrefix(table, "abc", 12)
	if file, ok := fileOf(table, 12, stage); !ok || file != "abc" {
		t.Errorf("%s: %q, %v", stage, file, ok)
	}
	for _, other := range []string{
		transform.StagePrefix(table, "abc", 112), transform.StagePrefix(dms.TableID{DB: "rms", Table: "odd"}, "abc", 12), "", "12/",
	} {
		if file, ok := fileOf(table, 12, other); ok {
			t.Errorf("%s: it is taken for the file %q", other, file)
		}
	}
}

func TestAllBefore(t *testing.T) {
	at := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)
	page := func(times ...time.Time) (runs []types.JobRun) {
		for _, t := range times {
			runs = append(runs, types.JobRun{StartedOn: &t})
		}
		return runs
	}
	if allBefore(page(at, at.Add(-time.Hour)), at) || !allBefore(page(at.Add(-time.Hour)), at) || allBefore(page(at.Add(-time.Hour)), time.Time{}) {
		t.Error("pages end at the wrong place")
	}
	if allBefore(page(at.Add(-time.Minute)), at) {
		t.Error("clocks that differ by a minute lose a run")
	}
}
