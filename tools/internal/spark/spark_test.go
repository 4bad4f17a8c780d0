package spark_test

import (
	"flag"
	"log/slog"
	"os"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// withSpark lets the tests run that need Java, Python and the pinned packages.
var withSpark = flag.Bool("spark", false, "run the tests that need Spark")

func TestMain(m *testing.M) {
	spark.RowsIfAsked()
	flag.Parse()
	os.Exit(m.Run())
}

// open starts a Spark of two cores for one test.
func open(t *testing.T, change func(*localspark.Config)) *spark.Session {
	t.Helper()
	if !*withSpark {
		t.Skip("needs Spark: go test ./tools/internal/spark -args -spark")
	}
	s, err := spark.Open(t.Context(), slog.New(slog.NewTextHandler(os.Stderr, nil)), change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestRunner: the contract of runners holds, whether files are sorted where they
// are read or spread by the ranges of their keys.
func TestRunner(t *testing.T) {
	for name, shuffle := range map[string]int64{"in place": 1 << 30, "by ranges": 0} {
		t.Run(name, func(t *testing.T) {
			session := open(t, func(c *localspark.Config) { c.ShuffleBytes = shuffle })
			jobstest.Run(t, func(_ *testing.T, raw, staging objects.Bucket) jobs.Runner {
				return localspark.New(session.Session, raw.(*local.Bucket), staging.(*local.Bucket), raw.(*local.Bucket))
			})
		})
	}
}
