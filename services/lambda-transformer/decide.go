package lambdatransformer

import (
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// place is where the files of a grant are transformed.
type place int

const (
	nowhere   place = iota // by another service, or not at all
	inProcess              // here
	onLambda
)

// mine reports whether this service transforms the files of a grant.
func mine(grant *blotterv1.LockGranted) bool {
	return grant.GetTransform() && grant.GetEngine() == blotterv1.Engine_ENGINE_LAMBDA
}

// placeOf decides where a grant is worked on. Where there is no Lambda, as on one
// machine whose buckets are folders that no function could read, a table's function
// is not looked at.
func placeOf(grant *blotterv1.LockGranted, spec registry.Table, lambda bool) place {
	switch {
	case !mine(grant):
		return nowhere
	case lambda && spec.Job.Lambda != "":
		return onLambda
	}
	return inProcess
}
