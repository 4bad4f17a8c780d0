package glue

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/openblotter/blotter/pkg/jobs"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// The arguments of a run; see the package.
const (
	argStage   = "--blotter_stage"
	argPlan    = "--blotter_plan"
	argAttempt = "--blotter_attempt"
)

// run is what Glue tells of one run.
type run struct {
	id        string
	stage     string // its identity
	attempt   int
	state     types.JobRunState
	category  string // Glue's own class of the error, such as OUT_OF_MEMORY_ERROR
	started   time.Time
	completed time.Time
	execution time.Duration
	dpu       float64 // DPU-seconds
}

func runOf(r types.JobRun) run {
	out := run{
		id: aws.ToString(r.Id), stage: r.Arguments[argStage], state: r.JobRunState,
		category: categoryOf(aws.ToString(r.ErrorMessage)),
		started:  aws.ToTime(r.StartedOn), completed: aws.ToTime(r.CompletedOn),
		execution: time.Duration(r.ExecutionTime) * time.Second,
	}
	out.attempt, _ = strconv.Atoi(r.Arguments[argAttempt]) // 0 if it has none
	// Glue tells DPUSeconds of runs that scale; else all capacity is held all the time.
	if out.dpu = aws.ToFloat64(r.DPUSeconds); r.DPUSeconds == nil {
		out.dpu = out.execution.Seconds() * capacity(r)
	}
	return out
}

// capacity gives the DPUs that a run holds: Glue's own number, or that of its workers.
func capacity(r types.JobRun) float64 {
	if dpus := aws.ToFloat64(r.MaxCapacity); dpus > 0 {
		return dpus
	}
	size := 1.0 // Standard
	if m := workerSize.FindStringSubmatch(string(r.WorkerType)); m != nil {
		digits := m[1]
		if rest, ok := strings.CutPrefix(digits, "0"); ok {
			digits = "0." + rest
		}
		size, _ = strconv.ParseFloat(digits, 64) // digits alone
	}
	return size * float64(aws.ToInt32(r.NumberOfWorkers))
}

// workerSize reads the DPUs of a worker from the name of its type: G.1X, G.025X, R.2X.
var workerSize = regexp.MustCompile(`^[GR]\.([0-9]+)X$`)

// alive reports whether the run has not ended. A state that this code does not
// know is taken for alive: its end will come.
func (r run) alive() bool {
	switch r.state {
	case types.JobRunStateSucceeded, types.JobRunStateFailed, types.JobRunStateError,
		types.JobRunStateTimeout, types.JobRunStateStopped, types.JobRunStateExpired:
		return false
	}
	return true
}

// code tells why the run ended, as a stable code; empty for a success.
func (r run) code() string {
	if r.state == types.JobRunStateSucceeded {
		return ""
	}
	return "glue." + strings.ToLower(string(r.state))
}

// ends is what is told of a run that has ended, for each of its files. They share its
// cost by their sizes.
func (r run) ends(files []*blotterv1.FileRef, token uint64) []jobs.RunEnd {
	var total float64
	for _, file := range files {
		total += weight(file)
	}
	ends := make([]jobs.RunEnd, len(files))
	for i, file := range files {
		ends[i] = jobs.RunEnd{
			FileID: file.GetFileId(), Token: token, Run: r.id, Attempt: max(r.attempt, 1), State: string(r.state), Code: r.code(),
			Started: r.started, Completed: r.completed, Execution: r.execution, DPUSeconds: r.dpu * weight(file) / total,
		}
	}
	return ends
}

// weight is what a file counts for in the cost of its run: an empty one, too, is work.
func weight(file *blotterv1.FileRef) float64 { return float64(max(file.GetObject().GetSize(), 1)) }

// older orders runs by their start.
func older(a, b run) int {
	return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.attempt, b.attempt), cmp.Compare(a.id, b.id))
}

// category is how Glue begins an ErrorMessage that it has classified. What
// follows may quote rows.
var category = regexp.MustCompile(`^Error Category: ([A-Z][A-Z_]{1,63});`)

func categoryOf(message string) string {
	if m := category.FindStringSubmatch(message); m != nil {
		return m[1]
	}
	return ""
}

// jobName gives the name of a job that is named by itself or by its ARN
// (arn:aws:glue:<region>:<account>:job/<name>).
func jobName(ref string) string {
	if strings.HasPrefix(ref, "arn:") {
		if _, name, ok := strings.Cut(ref, ":job/"); ok {
			return name
		}
	}
	return ref
}
