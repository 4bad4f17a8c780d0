package roles

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/openblotter/blotter/pkg/archive"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/natsauth"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	gluedispatcher "github.com/openblotter/blotter/services/glue-dispatcher"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lambdatransformer "github.com/openblotter/blotter/services/lambda-transformer"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// Config says where a process keeps everything and how its roles work.
type Config struct {
	// Dir is the folder of the process: everything whose place is not said lies in it,
	// and one process at a time works there.
	Dir string
	// Places say where everything is.
	Places Places
	// NATS says as whom the process connects to the server of Places.NATS. Its own
	// server, on the loopback interface, asks nobody.
	NATS natsauth.Credentials
	// Roles to run; nil: all, empty: none.
	Roles []string
	// NATSPort of the embedded server; 0 takes a free one.
	NATSPort int
	// Watch says when a file in the raw folder counts as whole, and how often to look
	// into the raw bucket (Rescan).
	Watch local.WatchConfig

	Log         eventlog.Config
	Entrypoint  ingestrouter.EntrypointConfig // where an ingress queue is
	LockManager lockmanager.Config
	Lambda      lambdatransformer.Config
	Glue        gluedispatcher.Config
	Transform   transform.Config
	Lake        lake.Config
	// Archive says when the log is archived, AuditKeys with which keys.
	Archive   archive.Config
	AuditKeys AuditKeys

	// GlueRunner makes the runner for tables with flag G, between the raw, the
	// staging and the failed folder, and the tables; nil: in this process, as for L.
	GlueRunner func(raw, staging, failed *local.Bucket, tables plan.Tables) jobs.Runner
	// OnGlue is the way to Glue, for those of them whose table names a job. nil: that of
	// AWS where raw, staging and failed are buckets of S3, which its runs can read; else
	// there is none, and they run where the others do.
	OnGlue *OnGlue
	// OnLambda is the way to Lambda, in the same manner, for tables with flag L whose
	// registration names a function.
	OnLambda *OnLambda
}

// DefaultConfig gives the settings of one machine; Dir is left to the caller.
func DefaultConfig() Config {
	return Config{
		Watch:       local.DefaultWatchConfig(),
		Log:         eventlog.EmbeddedConfig(),
		Entrypoint:  ingestrouter.DefaultEntrypointConfig(),
		LockManager: lockmanager.DefaultConfig(),
		Lambda:      lambdatransformer.DefaultConfig(),
		Glue:        gluedispatcher.DefaultConfig(),
		Transform:   transform.DefaultConfig(),
		Lake:        lake.DefaultConfig(),
		Archive:     archive.DefaultConfig(),
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	errs := []error{c.Places.Validate(), c.NATS.Validate(), c.Watch.Validate(), c.Log.Validate(), c.Entrypoint.Validate(), c.LockManager.Validate(), c.Transform.Validate(), c.Lake.Validate(), c.Archive.Validate()}
	if c.Dir == "" {
		errs = append(errs, errors.New("dir is empty; name the folder that everything is kept in"))
	}
	for _, name := range c.Roles {
		if _, ok := find(name); !ok {
			errs = append(errs, fmt.Errorf("there is no role %q; the roles are %v", name, Names()))
		}
	}
	return errors.Join(errs...)
}

func (c Config) wants(role string) bool {
	return c.Roles == nil || slices.Contains(c.Roles, role)
}

// need reports whether a wanted role needs something.
func (c Config) need(n need) bool {
	return slices.ContainsFunc(table, func(r role) bool { return r.needs&n != 0 && c.wants(r.name) })
}

func (c Config) path(name string) string { return filepath.Join(c.Dir, name) }
