package spark_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/glue"
	"github.com/openblotter/blotter/pkg/jobs/glue/gluetest"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/spark"
)

// TestTableMovesBetweenEngines: whether a table's files are transformed by L, by
// G, or by each in turn, its rows are the same, provenance included.
func TestTableMovesBetweenEngines(t *testing.T) {
	session := open(t, inPlace)
	spec := evidence(t)
	raw, _ := jobstest.Buckets(t)
	folder := raw.(*local.Bucket)
	keys := []string{"dms/rms/evidence/LOAD00000001.csv"}
	put(t, folder, spec, keys[0], func(w *bufio.Writer) { writeLoad(w, 2000) })
	for i := range 5 {
		keys = append(keys, fmt.Sprintf("dms/rms/evidence/20240115-08000%d000.csv", i))
		put(t, folder, spec, keys[i+1], func(w *bufio.Writer) { writeChanges(w, 300*(i+1), 2000) })
	}
	alone := func(flag registry.Flag) func(int) registry.Flag { return func(int) registry.Flag { return flag } }
	inTurn := func(i int) registry.Flag { return []registry.Flag{registry.FlagGlue, registry.FlagLambda}[i%2] }
	onSpark := func(cfg *roles.Config) {
		cfg.GlueRunner = func(raw, staging, failed *local.Bucket, tables plan.Tables) jobs.Runner {
			return localspark.New(session.Session, raw, staging, failed, tables)
		}
	}
	want := drive(t, folder.Dir(), spec, keys, alone(registry.FlagLambda), onSpark)
	if len(want) == 0 {
		t.Fatal("no row was published")
	}
	named := spec
	named.Job.Glue = "arn:aws:glue:us-east-1:000000000000:job/blotter"
	for name, way := range map[string]struct {
		spec   registry.Table
		flag   func(int) registry.Flag
		engine func(*roles.Config)
	}{
		"G, which names rows":   {spec, alone(registry.FlagGlue), namingRows(onSpark)},
		"G":                     {spec, alone(registry.FlagGlue), onSpark},
		"in turn":               {spec, inTurn, onSpark},
		"in turn, over the API": {named, inTurn, onGlue(t, session)},
		"in turn, over the API, which names rows": {named, inTurn, namingRows(onGlue(t, session))},
	} {
		got := drive(t, folder.Dir(), way.spec, keys, way.flag, way.engine)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, with L alone %d; first that differ: %v", name, len(got), len(want), firstDifference(got, want))
		}
	}
}

// namingRows asks the engine for position deletes however small the table is, and keeps
// it from being rewritten whole.
func namingRows(engine func(*roles.Config)) func(*roles.Config) {
	return func(c *roles.Config) {
		engine(c)
		c.Lake.PositionDeleteRows, c.Lake.SmallTableRows, c.Lake.RewriteFraction, c.Lake.MaxDeleteFiles = 1, 0, 1, 100
	}
}

// onGlue has jobs run over the API of Glue: a stand-in starts them, and they run the
// plan that they are told on Spark.
func onGlue(t *testing.T, session *spark.Session) func(*roles.Config) {
	server := gluetest.New(t, "blotter", func(ctx context.Context, args map[string]string) error {
		return session.RunPlan(ctx, args["--blotter_plan"], args["--blotter_stage"])
	})
	cfg := glue.DefaultConfig()
	cfg.PollMin, cfg.PollMax = 50*time.Millisecond, time.Second
	return func(c *roles.Config) { c.OnGlue = &roles.OnGlue{Config: cfg, API: server.Client()} }
}

func firstDifference(a, b []string) [2]string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return [2]string{a[i], b[i]}
		}
	}
	return [2]string{}
}

// drive runs the whole system over the files, one after the other, each with the
// flag given, and reads the table.
func drive(
	t *testing.T, files string, spec registry.Table, keys []string, flag func(int) registry.Flag, engine func(*roles.Config),
) []string {
	t.Helper()
	cfg := roles.DefaultConfig()
	cfg.Dir = t.TempDir()
	copyRaw(t, files, filepath.Join(cfg.Dir, "raw"))
	engine(&cfg)
	p, err := roles.Open(t.Context(), cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	stop, _ := p.Start(t.Context())
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := system{t, p, spec.ID}
	spec.Version = 0
	s.order("apply", lockmanager.CommandRequest{Spec: &spec})
	engines := map[registry.Flag]string{registry.FlagLambda: "lambda-transformer local", registry.FlagGlue: "glue-dispatcher spark"}
	if spec.Job.Glue != "" {
		engines[registry.FlagGlue] = "glue-dispatcher jr"
	}
	var want []string
	for i, key := range keys {
		s.order("flag", lockmanager.CommandRequest{Flag: string(flag(i))})
		s.deliver(key)
		want = append(want, engines[flag(i)])
		if i == 0 {
			s.order("load-complete", lockmanager.CommandRequest{})
		}
	}
	if got := s.transformed(); !slices.Equal(got, want) {
		t.Fatalf("the files were transformed by %q, expected %q", got, want)
	}
	s.checkNamed(cfg.Lake.PositionDeleteRows == 1)
	return s.rows()
}

// checkNamed checks that the rows which each change file of G replaced were named by
// the engine, if it was asked, and hidden by position deletes.
func (s system) checkNamed(asked bool) {
	s.t.Helper()
	contents, err := s.p.Lake.Contents(s.t.Context(), s.table)
	if err != nil {
		s.t.Fatal(err)
	}
	want := 0
	if asked {
		for _, by := range s.transformed()[1:] {
			if strings.HasPrefix(by, "glue-dispatcher") {
				want++
			}
		}
	}
	got := 0
	for _, one := range contents.Snapshots {
		if one.Named && one.Strategy == lake.StrategyRowDelta {
			got++
		}
	}
	if got != want {
		s.t.Errorf("the engine named the rows of %d publications, expected %d", got, want)
	}
}

// system is one whole system and its table.
type system struct {
	t     *testing.T
	p     *roles.Process
	table dms.TableID
}

func (s system) settle() {
	s.t.Helper()
	if err := s.p.Settle(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s system) order(name string, r lockmanager.CommandRequest) {
	s.t.Helper()
	r.ID, r.Actor, r.Reason, r.Table = fmt.Sprintf("%s-%d", name, s.seq()), "operator:test", "test", s.table.String()
	reply, err := s.p.LockManager.Execute(s.t.Context(), name, r)
	if err != nil || reply.Refused != "" {
		s.t.Fatalf("%s: %v %s", name, err, reply.Refused)
	}
	s.settle()
}

// seq makes the ids of orders differ: the log is longer each time.
func (s system) seq() uint64 {
	last, err := s.p.Log.Last(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return last
}

func (s system) deliver(key string) {
	s.t.Helper()
	info, err := s.p.Raw.Stat(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	o := dms.Object{Bucket: s.p.Raw.Name(), Key: key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC()}
	if _, err := s.p.IngestRouter.Offer(s.t.Context(), o, ingestrouter.FromEvent); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

// transformed tells which service transformed each file, and where, in order.
func (s system) transformed() (by []string) {
	s.t.Helper()
	for r, err := range s.p.Log.Read(s.t.Context(), eventlog.Filter{Table: s.table, Event: "TransformStarted"}) {
		if err != nil {
			s.t.Fatal(err)
		}
		where, _, _ := strings.Cut(r.Event.(*blotterv1.TransformStarted).GetRun(), "_") // of Glue jr_…
		by = append(by, r.Envelope.GetActor()+" "+where)
	}
	return by
}

// rows gives the table as lines, provenance included.
func (s system) rows() []string {
	s.t.Helper()
	set, err := s.p.Lake.Rows(s.t.Context(), s.table)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for row, err := range set.All(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		line := fmt.Sprint(row.File, row.Number, row.Position)
		for i, v := range row.Values {
			line += "|"
			if !v.IsNull() {
				line += lake.FormatValue(set.Columns[i].Type, v)
			}
		}
		out = append(out, line)
	}
	return out
}
