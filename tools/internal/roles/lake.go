package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
)

// The files of a folder that other programs may open.
const (
	ControlFile = "control.db" // the control store
	CatalogFile = "catalog.db" // the Iceberg catalog
	CuratedDir  = "curated"    // the warehouse
	StagingDir  = "staging"    // what transforms made
	FailedDir   = "failed"     // quarantined objects and their reports
	RawDir      = "raw"        // the raw folder where no other is named
	LogDir      = "nats"       // the event log, where no other server keeps it
	AuditDir    = "audit"      // the signed archive of the event log

	holdFile = "hold.db" // the hold queue
)

// ErrNoLake: the folder has no catalog, so that no table was ever published there.
var ErrNoLake = errors.New("no tables are published here yet")

// OpenLake opens the tables of a system for reading, and gives what closes them.
// It takes no lock: a process may run there, and its commits change nothing of
// what was opened. ErrNoLake if there is no catalog yet.
func OpenLake(ctx context.Context, cfg Config, logger *slog.Logger) (*lake.Lake, func() error, error) {
	dir := cfg.Dir
	var err error
	if cfg.Dir, err = trueName(dir); err != nil {
		return nil, nil, err
	}
	catalog, err := cfg.address("catalog")
	if err != nil {
		return nil, nil, fmt.Errorf("--catalog: %w", err)
	}
	if _, err := os.Stat(catalog.path); catalog.scheme == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: %w", dir, ErrNoLake)
	}
	o := &opener{cfg: cfg}
	staging, err := o.bucket(ctx, "staging", true)
	if err != nil {
		return nil, nil, err
	}
	l, closer, err := o.lake(ctx, cfg.Lake, staging.bucket, logger, true)
	if err != nil {
		return nil, nil, errors.Join(err, staging.close())
	}
	return l, func() error { return errors.Join(closer(), staging.close()) }, nil
}

// lake opens the tables and gives what closes them.
func (o *opener) lake(ctx context.Context, cfg lake.Config, staging objects.Bucket, logger *slog.Logger, readOnly bool) (*lake.Lake, func() error, error) {
	curated, err := o.bucket(ctx, "lake", readOnly, local.Immutable())
	if err != nil {
		return nil, nil, err
	}
	base, err := o.warehouse()
	if err != nil {
		return nil, nil, errors.Join(err, curated.close())
	}
	io, err := lake.NewIO(curated.bucket, base)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the warehouse: %w", err), curated.close())
	}
	catalog, closer, err := o.catalog(ctx, io)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the catalog: %w", err), io.Close(), curated.close())
	}
	closeAll := func() error { return errors.Join(closer(), io.Close(), curated.close()) }
	l, err := lake.Open(ctx, cfg, lake.Deps{Catalog: catalog, IO: io, Staging: staging, Logger: logger})
	if err != nil {
		return nil, nil, errors.Join(err, closeAll())
	}
	return l, closeAll, nil
}

// warehouse is the address by which tables name their files.
func (o *opener) warehouse() (string, error) {
	a, err := o.cfg.address("lake")
	if err != nil {
		return "", fmt.Errorf("--lake: %w", err)
	}
	if a.scheme == "" {
		if a.path, err = filepath.Abs(a.path); err != nil {
			return "", fmt.Errorf("find the folder of --lake: %w", err)
		}
	}
	return a.uri(), nil
}

// tables is the warehouse for engines that compute position deletes. A catalog that does
// not answer costs the curator a search, and nothing else.
func (p *Process) tables() (plan.Tables, error) {
	base, err := p.open.warehouse()
	if err != nil || !p.needs(needLake) {
		return plan.Tables{}, err
	}
	a, err := p.cfg.address("lake")
	if err != nil {
		return plan.Tables{}, fmt.Errorf("--lake: %w", err)
	}
	at := plan.Place{Name: bucketNames["lake"], URI: base}
	if a.scheme == schemeS3 {
		at.Name, at.Region = a.name, p.open.aws.Region
	}
	return plan.Tables{
		Place: at,
		Snapshot: func(ctx context.Context, id dms.TableID) (*transform.Snapshot, error) {
			s, err := p.Lake.Snapshot(ctx, id)
			if err != nil {
				p.logger.WarnContext(ctx, "no snapshot is named for position deletes", "table", id.String(), "error", err)
				return nil, ctx.Err()
			}
			return s, nil
		},
	}, nil
}
