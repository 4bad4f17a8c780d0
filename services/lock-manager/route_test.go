package lockmanager

import (
	"fmt"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// TestRoute: what a function can take in its time and its scratch space it gets, by the
// largest file and by all of them.
func TestRoute(t *testing.T) {
	t.Parallel()
	const glue, lambda = blotterv1.Engine_ENGINE_GLUE, blotterv1.Engine_ENGINE_LAMBDA
	type files map[string]int64
	for what, tt := range map[string]struct {
		files   files
		columns int
		engine  blotterv1.Engine
		reason  string
		seconds int64
	}{
		"small":                    {files{"a.csv": 1000}, 20, lambda, "fits", 0},
		"as large as may be":       {files{"a.csv": 1 << 30}, 20, lambda, "fits", 256},
		"too large":                {files{"a.csv": 1<<30 + 1}, 20, glue, "bytes", 256},
		"far too large":            {files{"a.csv": 10 << 30}, 20, glue, "bytes", 2560},
		"too large once unpacked":  {files{"A.CSV.GZ": 1<<30/5 + 1}, 20, glue, "bytes", 256},
		"just not, unpacked":       {files{"a.parquet": 1 << 30 / 5}, 20, lambda, "fits", 256},
		"many narrow rows":         {files{"a.csv": 80_000_008 * 2}, 2, glue, "rows", 38},
		"not too many narrow rows": {files{"a.csv": 80_000_000 * 2}, 2, lambda, "fits", 38},
		"the largest decides":      {files{"a.csv": 1, "b.csv": 2 << 30, "c.csv": 1}, 20, glue, "bytes", 512},
		"a table of no columns":    {files{"a.csv": 1}, 0, lambda, "fits", 0},
	} {
		s := NewState(testTable)
		s.Auto, s.GlueJob, s.Engine, s.RowBytes = true, true, lambda, rowBytes(registry.Table{Columns: make([]registry.Column, tt.columns)})
		var list []*File
		for name, size := range tt.files {
			list = append(list, &File{Object: dms.Object{Key: "dms/rms/reports/" + name, Size: size}})
		}
		engine, r := s.route(list)
		if engine != tt.engine || r.GetReason() != tt.reason || r.GetSeconds() != tt.seconds {
			t.Errorf("%s: %v, %v", what, engine, r)
		}
	}
	s := NewState(testTable)
	s.Auto, s.GlueJob = true, true
	if engine, r := s.route([]*File{{Object: dms.Object{Size: 1 << 30}}}); engine != lambda || r.GetRows() != 0 {
		t.Errorf("with rows of unknown size: %v, %v", engine, r)
	}
	s.RowBytes = 160
	var many []*File
	for range 64 {
		many = append(many, &File{Object: dms.Object{Key: "a.csv", Size: 1 << 30}})
	}
	if engine, r := s.route(many); engine != lambda || r.GetReason() != "fits" || r.GetAllBytes() != 64<<30 {
		t.Errorf("64 GiB together: %v, %v", engine, r)
	}
	if engine, r := s.route([]*File{{Object: dms.Object{Size: 1}}, {Object: dms.Object{Size: 1}, Outgrown: true}}); engine != glue || r.GetReason() != "outgrown" {
		t.Errorf("one that Lambda has tried in vain: %v, %v", engine, r)
	}
	if engine, r := s.route(append(many, &File{Object: dms.Object{Key: "a.csv", Size: 1}})); engine != glue || r.GetReason() != "together" {
		t.Errorf("more together: %v, %v", engine, r)
	}
	s.Engine = glue
	for what, change := range map[string]func(*State){
		"a fixed flag": func(s *State) { s.Auto = false }, "no job": func(s *State) { s.GlueJob = false },
		"transaction files": func(s *State) { s.Table = dms.TableID{DB: "rms", Table: dms.TransactionTable} },
	} {
		c := *s
		change(&c)
		if engine, r := c.route(many); engine != glue || r != nil {
			t.Errorf("%s: %v, %v", what, engine, r)
		}
	}
}

// TestRouteOfALoad: all files of a load that wait say which engine a part of it gets, and
// how large that part is.
func TestRouteOfALoad(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	for size, want := range map[int64]struct {
		engine blotterv1.Engine
		reason string
		files  int
	}{
		1 << 30: {blotterv1.Engine_ENGINE_GLUE, "together", 70},
		1 << 20: {blotterv1.Engine_ENGINE_LAMBDA, "fits", cfg.LoadFiles},
	} {
		s := NewState(testTable)
		s.SpecVersion, s.Auto, s.GlueJob, s.Load = 1, true, true, &Load{}
		for i := range 70 {
			id := dms.FileID(fmt.Sprint(i))
			s.Files[id] = &File{ID: id, Kind: dms.KindLoad, Status: Waiting, Order: dms.FileOrder(id), Object: dms.Object{Key: string(id) + ".csv", Size: size}}
		}
		events := s.grantLoad(cfg, time.Unix(0, 0))
		g, ok := events[len(events)-1].(*blotterv1.LockGranted)
		if !ok || g.GetEngine() != want.engine || g.GetRoute().GetReason() != want.reason || len(g.GetFiles()) != min(want.files, cfg.GlueLoadFiles) {
			t.Errorf("files of %d bytes: %v", size, events)
		}
	}
}

// TestAppliedWithP: a registration that pauses leaves the choice of an operator, as it
// leaves his engine.
func TestAppliedWithP(t *testing.T) {
	t.Parallel()
	s := NewState(testTable)
	register := func(version uint64, flag registry.Flag) {
		spec := testSpec(version, flag)
		spec.Job.Glue, spec.Route = "job", registry.RouteAuto
		mustStep(t, s, Register{Order: Order{ID: fmt.Sprint("register", version)}, Spec: spec})
	}
	register(1, registry.FlagLambda)
	if !s.Auto {
		t.Fatal("registered with route auto, it is not so")
	}
	mustStep(t, s, SetFlag{Order: Order{ID: "flag"}, Engine: blotterv1.Engine_ENGINE_GLUE})
	register(2, registry.FlagPaused)
	if s.Auto || s.Engine != blotterv1.Engine_ENGINE_GLUE {
		t.Errorf("auto %t, engine %v: the operator's choice is lost", s.Auto, s.Engine)
	}
	register(3, registry.FlagLambda)
	if !s.Auto {
		t.Error("the registration does not count again")
	}
}
