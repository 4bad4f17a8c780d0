package spark_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// withSpark lets the tests run that need Java, Python and the pinned packages.
var withSpark = flag.Bool("spark", false, "run the tests that need Spark")

// sessions are the two that all tests share: one sorts every file where it is read,
// the other spreads every file by the ranges of its keys.
var sessions [2]struct {
	once sync.Once
	s    *spark.Session
	err  error
}

const (
	inPlace = iota
	byRanges
)

// ways names them.
var ways = [...]string{inPlace: "in place", byRanges: "by ranges"}

func TestMain(m *testing.M) {
	spark.RowsIfAsked()
	flag.Parse()
	status := m.Run()
	for i := range sessions {
		if s := sessions[i].s; s != nil {
			if err := s.Close(); err != nil {
				fmt.Fprintln(os.Stderr, "close Spark:", err)
				status = 1
			}
		}
	}
	os.Exit(status)
}

// open gives one of the sessions, each on two cores.
func open(t *testing.T, way int) *spark.Session {
	t.Helper()
	if !*withSpark {
		t.Skip("needs Spark: go test ./tools/internal/spark -args -spark")
	}
	one := &sessions[way]
	one.once.Do(func() {
		one.s, one.err = spark.Open(context.WithoutCancel(t.Context()), slog.New(slog.NewTextHandler(os.Stderr, nil)), func(c *localspark.Config) {
			c.ShuffleBytes = [...]int64{inPlace: 1 << 40, byRanges: 0}[way]
			c.Limits.RangeBytes = min(16<<20, int64(*loadRows)*8)
		})
	})
	if one.err != nil {
		t.Fatal(one.err)
	}
	return one.s
}

// TestRunner: the contract of runners holds, whether files are sorted where they
// are read or spread by the ranges of their keys.
func TestRunner(t *testing.T) {
	for way, name := range ways {
		t.Run(name, func(t *testing.T) {
			session := open(t, way)
			jobstest.Run(t, func(_ *testing.T, raw, staging objects.Bucket) jobs.Runner {
				return localspark.New(session.Session, raw.(*local.Bucket), staging.(*local.Bucket), raw.(*local.Bucket), plan.Tables{})
			})
		})
	}
}
