package gluedispatcher

import blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"

// mine reports whether this service transforms the files of a grant.
func mine(grant *blotterv1.LockGranted) bool {
	return grant.GetTransform() && grant.GetEngine() == blotterv1.Engine_ENGINE_GLUE
}
