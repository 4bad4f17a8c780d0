package lockmanager

import (
	"strings"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// By what a table with route auto chooses an engine. A function has 15 minutes, 10 GB of
// scratch space and one core; what is beyond these is Glue's. deploy/guide/lambda.md tells
// why these numbers.
const (
	// routeBytes and routeRows bound the largest file of a transaction that Lambda gets,
	// decoded; routeTogether bounds all of them.
	routeBytes    = 1 << 30
	routeRows     = 10_000_000
	routeTogether = 64 << 30
	// routePace is how many decoded bytes are transformed in a second, as the runner of
	// Lambda takes it.
	routePace = 4 << 20
	// packed is how many times a compressed file's size its decoded bytes are taken to be.
	packed = 5
	// valueBytes is how many bytes a value of a row is taken to have.
	valueBytes = 8
)

// The reasons of a Route.
const (
	routeFits    = "fits"
	routeOfBytes = "bytes"
	routeOfRows  = "rows"
	routeOfAll   = "together"
	routeOfTrial = "outgrown"
)

// outgrew reports whether the running grant failed so, and its table has another engine to
// try, which route then chooses. There is one such trial: the next grant of these files is
// Glue's, and a failure of that is one like any other.
func (s *State) outgrew(failure *blotterv1.Failure) bool {
	code := failure.GetCode()
	return s.Auto && s.GlueJob && s.Grant.Engine == blotterv1.Engine_ENGINE_LAMBDA && (code == wire.FailureTimeout || code == wire.FailureOutOfMemory)
}

// route says which engine transforms these files, and why; nil if the flag alone does.
// It is a pure function of the files' names and sizes, of the registered columns, and of
// which files Lambda has tried in vain. Of a
// load those files are asked about that wait, not only those of one grant.
func (s *State) route(files []*File) (blotterv1.Engine, *blotterv1.Route) {
	if !s.Auto || !s.GlueJob || s.Table.IsTransactions() {
		return s.Engine, nil
	}
	r := &blotterv1.Route{Reason: routeFits}
	tried := false
	for _, f := range files {
		tried = tried || f.Outgrown
		n := decodedBytes(f)
		r.AllBytes += n
		r.Bytes = max(r.Bytes, n)
	}
	if s.RowBytes > 0 {
		r.Rows = r.Bytes / s.RowBytes
	}
	r.Seconds = (r.Bytes + routePace/2) / routePace
	switch {
	case tried:
		r.Reason = routeOfTrial
	case r.Bytes > routeBytes:
		r.Reason = routeOfBytes
	case r.Rows > routeRows:
		r.Reason = routeOfRows
	case r.AllBytes > routeTogether:
		r.Reason = routeOfAll
	default:
		return blotterv1.Engine_ENGINE_LAMBDA, r
	}
	return blotterv1.Engine_ENGINE_GLUE, r
}

// decodedBytes estimates how large a file is once it is decoded, from its name and size.
func decodedBytes(f *File) int64 {
	key := strings.ToLower(f.Object.Key)
	if strings.HasSuffix(key, ".gz") || strings.HasSuffix(key, ".parquet") {
		return packed * f.Object.Size
	}
	return f.Object.Size
}

// rowBytes estimates how large a row of a registered table is as CSV.
func rowBytes(spec registry.Table) int64 { return valueBytes * int64(max(len(spec.Columns), 1)) }
