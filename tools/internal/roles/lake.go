package roles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/openblotter/blotter/pkg/lake"
	lakesqlite "github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// The files of a folder that other programs may open.
const (
	ControlFile = "control.db" // the control store
	CatalogFile = "catalog.db" // the Iceberg catalog
	CuratedDir  = "curated"    // the warehouse
	StagingDir  = "staging"    // what transforms made
	FailedDir   = "failed"     // quarantined objects and their reports
	RawDir      = "raw"        // the raw folder where no other is named
)

// ErrNoLake: the folder has no catalog, so that no table was ever published there.
var ErrNoLake = errors.New("no tables are published here yet")

// OpenLake opens the tables of a folder for reading, and gives what closes them.
// It takes no lock: a process may run there, and its commits change nothing of
// what was opened. ErrNoLake if there is no catalog yet.
func OpenLake(ctx context.Context, dir string, logger *slog.Logger) (*lake.Lake, func() error, error) {
	cfg := DefaultConfig()
	var err error
	if cfg.Dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, fmt.Errorf("find the folder: %w", err)
	}
	if _, err := os.Stat(cfg.path(CatalogFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: %w", dir, ErrNoLake)
	}
	staging, err := local.New("staging", cfg.path(StagingDir), local.ReadOnly())
	if err != nil {
		return nil, nil, fmt.Errorf("open the staging folder: %w", err)
	}
	l, closer, err := openLake(ctx, cfg, staging, logger, local.ReadOnly())
	if err != nil {
		return nil, nil, errors.Join(err, staging.Close())
	}
	return l, func() error { return errors.Join(closer(), staging.Close()) }, nil
}

// openLake opens the tables of a folder and gives what closes them.
func openLake(ctx context.Context, cfg Config, staging objects.Bucket, logger *slog.Logger, opts ...local.Option) (*lake.Lake, func() error, error) {
	curated, err := local.New("curated", cfg.path(CuratedDir), append(opts, local.Immutable())...)
	if err != nil {
		return nil, nil, fmt.Errorf("open the curated folder: %w", err)
	}
	base := url.URL{Scheme: "file", Path: filepath.ToSlash(cfg.path(CuratedDir))}
	io, err := lake.NewIO(curated, base.String())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the warehouse: %w", err), curated.Close())
	}
	catalog, err := lakesqlite.Open(cfg.path(CatalogFile), io)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the catalog: %w", err), io.Close(), curated.Close())
	}
	closer := func() error { return errors.Join(catalog.Close(), io.Close(), curated.Close()) }
	l, err := lake.Open(ctx, cfg.Lake, lake.Deps{Catalog: catalog, IO: io, Staging: staging, Logger: logger})
	if err != nil {
		return nil, nil, errors.Join(err, closer())
	}
	return l, closer, nil
}
