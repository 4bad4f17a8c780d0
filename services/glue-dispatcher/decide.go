package gluedispatcher

import (
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// place is where the files of a grant are transformed.
type place int

const (
	nowhere   place = iota // by another service, or not at all
	inProcess              // here
	onGlue
)

// mine reports whether this service transforms the files of a grant.
func mine(grant *blotterv1.LockGranted) bool {
	return grant.GetTransform() && grant.GetEngine() == blotterv1.Engine_ENGINE_GLUE
}

// placeOf decides where a grant is worked on. Where there is no Glue, as on one
// machine whose buckets are folders that no Glue could read, a table's job is not
// looked at.
func placeOf(grant *blotterv1.LockGranted, spec registry.Table, glue bool) place {
	switch {
	case !mine(grant):
		return nowhere
	case glue && spec.Job.Glue != "":
		return onGlue
	}
	return inProcess
}

// dead reports whether a fence ends the grant of a token: tokens only grow, so
// that a fence for a later one does too.
func dead(token uint64, fence *blotterv1.FenceRequested) bool { return fence.GetToken() >= token }
