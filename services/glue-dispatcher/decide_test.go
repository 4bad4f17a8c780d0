package gluedispatcher

import (
	"testing"

	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

func TestPlaceOf(t *testing.T) {
	grant := func(engine blotterv1.Engine, transform bool) *blotterv1.LockGranted {
		return &blotterv1.LockGranted{Engine: engine, Transform: transform}
	}
	const lambda, glue = blotterv1.Engine_ENGINE_LAMBDA, blotterv1.Engine_ENGINE_GLUE
	for name, test := range map[string]struct {
		grant *blotterv1.LockGranted
		job   string
		glue  bool
		want  place
	}{
		"another engine":      {grant(lambda, true), "job", true, nowhere},
		"no engine":           {grant(blotterv1.Engine_ENGINE_UNSPECIFIED, true), "job", true, nowhere},
		"staged already":      {grant(glue, false), "job", true, nowhere},
		"a job":               {grant(glue, true), "job", true, onGlue},
		"no job":              {grant(glue, true), "", true, inProcess},
		"a job, but no Glue":  {grant(glue, true), "job", false, inProcess},
		"neither job nor one": {grant(glue, true), "", false, inProcess},
	} {
		t.Run(name, func(t *testing.T) {
			if got := placeOf(test.grant, registry.Table{Job: registry.Job{Glue: test.job}}, test.glue); got != test.want {
				t.Errorf("it is %d, expected %d", got, test.want)
			}
		})
	}
}

func TestDead(t *testing.T) {
	for fence, want := range map[uint64]bool{4: false, 5: true, 6: true} {
		if got := dead(5, &blotterv1.FenceRequested{Token: fence}); got != want {
			t.Errorf("token 5 behind a fence for %d: %v, expected %v", fence, got, want)
		}
	}
}
