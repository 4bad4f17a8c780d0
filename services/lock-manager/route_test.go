package lockmanager

import (
	"testing"

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
		"a table of unknown width": {files{"a.csv": 1}, 0, lambda, "fits", 0},
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
	s.Auto, s.GlueJob, s.RowBytes = true, true, 160
	var many []*File
	for range 64 {
		many = append(many, &File{Object: dms.Object{Key: "a.csv", Size: 1 << 30}})
	}
	if engine, r := s.route(many); engine != lambda || r.GetReason() != "fits" || r.GetAllBytes() != 64<<30 {
		t.Errorf("64 GiB together: %v, %v", engine, r)
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
