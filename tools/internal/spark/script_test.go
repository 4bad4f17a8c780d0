package spark_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	jobslocal "github.com/openblotter/blotter/pkg/jobs/local"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/services/glue-dispatcher/job"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// TestScriptRunsAsAJob: started as Glue starts it, with arguments that are not its
// own among them, the script finds its plan, ships the program for rows to its tasks,
// and stages several files, spread by ranges in more than one wave, as Go does, with
// Spark's adaptive execution on; for somebody else's plan it does nothing.
func TestScriptRunsAsAJob(t *testing.T) {
	program := os.Getenv(spark.RowsVariable)
	if !*withSpark || program == "" {
		t.Skip("needs Spark and the program for rows: .ci/run spark")
	}
	python, err := spark.Python(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	script := scriptWith(t, map[string]string{"SHUFFLE_BYTES = 256 << 20": "SHUFFLE_BYTES = 0", "WAVE_BYTES = 8 << 30": "WAVE_BYTES = 1 << 20"})
	raw, staging := jobstest.Buckets(t)
	maker := plan.Maker{
		Raw: rows.FolderPlace(raw.(*local.Bucket)), Staging: rows.FolderPlace(staging.(*local.Bucket)), Limits: plan.Limits{RangeBytes: 100 << 10},
	}
	batch := waves(t, raw.(*local.Bucket))
	p := jobs.PlanOf(maker, batch)
	if err := plan.Put(t.Context(), staging, p); err != nil {
		t.Fatal(err)
	}
	run := func(stage string) (string, error) {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), python, script,
			"--JOB_NAME", "blotter", "--JOB_RUN_ID", "jr_1", "--blotter_attempt", "1",
			"--blotter_plan", maker.Staging.Object(p.Key()), "--blotter_stage", stage, "--blotter_rows", program)
		cmd.Env = append(os.Environ(), "SPARK_LOCAL_IP=127.0.0.1", "PYSPARK_PYTHON="+python,
			"PYSPARK_SUBMIT_ARGS=--master local[2] --conf spark.ui.enabled=false --conf spark.driver.host=127.0.0.1 "+
				"--conf spark.driver.bindAddress=127.0.0.1 --conf spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 "+
				"--conf spark.sql.adaptive.enabled=true pyspark-shell")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("staging of another/"); err == nil || !strings.Contains(out, "is the plan of "+p.Stage) {
		t.Errorf("somebody else's plan: %v: %s", err, out)
	}
	out, err := run(p.Stage)
	if err != nil || !strings.Contains(out, p.Stage+": 3 files staged, 1 refused") {
		t.Fatalf("%v: %s", err, out)
	}
	for _, wave := range []string{"files [0] are", "files [1, 2, 3] are"} {
		if !strings.Contains(out, p.Stage+": "+wave) {
			t.Errorf("there was no wave of %s", wave)
		}
	}
	sameAsGo(t, raw, staging, batch)
}

// TestScriptLeavesAPlanWhereItIsTold: whoever cancels a run does so at any time.
func TestScriptLeavesAPlanWhereItIsTold(t *testing.T) {
	if !*withSpark {
		t.Skip("needs the Python of Spark: .ci/run spark")
	}
	python, err := spark.Python(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/asks.py")
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+filepath.Dir(scriptWith(t, nil)))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// scriptWith lays out the job's script with other lines in the place of some.
func scriptWith(t *testing.T, lines map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, job.Files); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "blotter_job.py")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for line, other := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Fatalf("the script has no line %s", line)
		}
		text = strings.Replace(text, "\n"+line+"\n", "\n"+other+"\n", 1)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// waves is a batch whose first file is a wave by itself; the last one is bad.
func waves(t *testing.T, raw *local.Bucket) jobs.Batch {
	t.Helper()
	spec := evidence(t)
	return jobstest.Batch(
		put(t, raw, spec, "dms/rms/evidence/LOAD00000001.csv", func(w *bufio.Writer) { writeLoad(w, 8000) }),
		put(t, raw, spec, "dms/rms/evidence/LOAD00000002.csv", func(w *bufio.Writer) { writeLoad(w, 2000) }),
		put(t, raw, spec, "dms/rms/evidence/20240115-080000000.csv", func(w *bufio.Writer) { writeChanges(w, 1500, 2000) }),
		put(t, raw, spec, "dms/rms/evidence/20240115-090000000.csv", func(w *bufio.Writer) {
			writeChanges(w, 10, 10)
			fmt.Fprintln(w, "I,2024-01-15 09:00:00,no number")
		}))
}

// sameAsGo checks that the files of a batch came to the ends that Go brings them to.
func sameAsGo(t *testing.T, raw, staging objects.Bucket, b jobs.Batch) {
	t.Helper()
	outcomes := make([]jobs.Outcome, len(b.Files))
	if all, err := jobs.Left(t.Context(), staging, b, outcomes); !all || err != nil {
		t.Fatalf("it left %+v (%v)", outcomes, err)
	}
	_, here := jobstest.Buckets(t)
	cfg := transform.DefaultConfig()
	cfg.ScratchDir = t.TempDir()
	alone := jobslocal.New(raw, here, nil, cfg)
	for i, file := range b.Files {
		one := jobs.Job{Table: b.Table, File: file, Token: b.Token}
		if outcomes[i].Failure != nil {
			_, err := alone.Run(t.Context(), one)
			var want *transform.Failure
			if !errors.As(err, &want) || want.Error() != outcomes[i].Failure.Error() {
				t.Errorf("file %d failed with %v, in Go with %v", i, outcomes[i].Failure, err)
			}
			continue
		}
		got, err := transform.ReadManifest(t.Context(), staging, outcomes[i].Staged.GetManifestKey(), outcomes[i].Staged.GetManifestSha256())
		if err != nil {
			t.Fatal(err)
		}
		sameStaged(t, here, staging, stage(t, alone, here, one), got)
	}
}
