package spark_test

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	"github.com/openblotter/blotter/services/glue-dispatcher/job"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// TestScriptRunsAsAJob: started as Glue starts it, with arguments that are not its
// own among them, the script finds its plan, ships the program for rows to its tasks,
// and stages; for somebody else's plan it does nothing.
func TestScriptRunsAsAJob(t *testing.T) {
	program := os.Getenv(spark.RowsVariable)
	if !*withSpark || program == "" {
		t.Skip("needs Spark and the program for rows: .ci/run spark")
	}
	python, err := spark.Python(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	scripts := t.TempDir()
	if err := os.CopyFS(scripts, job.Files); err != nil {
		t.Fatal(err)
	}
	raw, staging := jobstest.Buckets(t)
	one := put(t, raw.(*local.Bucket), evidence(t), "dms/rms/evidence/LOAD00000001.csv", func(w *bufio.Writer) { writeLoad(w, 1000) })
	maker := plan.Maker{Raw: rows.FolderPlace(raw.(*local.Bucket)), Staging: rows.FolderPlace(staging.(*local.Bucket))}
	p := maker.Make(one.Table, one.Token, one.Deadline, wire.FileOf(one.File))
	if err := plan.Put(t.Context(), staging, p); err != nil {
		t.Fatal(err)
	}
	run := func(stage string) (string, error) {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), python, filepath.Join(scripts, "blotter_job.py"),
			"--JOB_NAME", "blotter", "--JOB_RUN_ID", "jr_1", "--blotter_attempt", "1",
			"--blotter_plan", maker.Staging.Object(p.Key()), "--blotter_stage", stage, "--blotter_rows", program)
		cmd.Env = append(os.Environ(), "SPARK_LOCAL_IP=127.0.0.1", "PYSPARK_PYTHON="+python,
			"PYSPARK_SUBMIT_ARGS=--master local[2] --conf spark.ui.enabled=false --conf spark.driver.host=127.0.0.1 "+
				"--conf spark.driver.bindAddress=127.0.0.1 --conf spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 pyspark-shell")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("staging of another/"); err == nil || !strings.Contains(out, "is the plan of "+p.Stage) {
		t.Errorf("somebody else's plan: %v: %s", err, out)
	}
	out, err := run(p.Stage)
	if err != nil || !strings.Contains(out, p.Stage+": 1 files staged, 0 refused") {
		t.Fatalf("%v: %s", err, out)
	}
	result, err := transform.FindStaged(t.Context(), staging, p.Job(0))
	if err != nil || result == nil || result.Staged().GetCounts().GetRowsRead() != 1000 {
		t.Errorf("it left %+v (%v)", result, err)
	}
}
