package spark_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// TestAProgramThatDoesNotStartIsNoFilesFault: through Spark, what a task met is told,
// and that the file has no part in it.
func TestAProgramThatDoesNotStartIsNoFilesFault(t *testing.T) {
	if !*withSpark {
		t.Skip("needs Spark: go test ./tools/internal/spark -args -spark")
	}
	program := filepath.Join(t.TempDir(), "rows")
	session, err := spark.Open(context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler), func(c *localspark.Config) {
		c.Rows = []string{program}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	raw, staging := jobstest.Buckets(t)
	runner := localspark.New(session.Session, raw.(*local.Bucket), staging.(*local.Bucket), raw.(*local.Bucket), plan.Tables{})
	_, err = runner.Run(t.Context(), jobstest.LoadJob(t, raw))
	if !errors.Is(err, jobs.ErrMachine) || !strings.Contains(err.Error(), "the program "+program+" does not start: No such file or directory") {
		t.Errorf("it ended with %v", err)
	}
}
