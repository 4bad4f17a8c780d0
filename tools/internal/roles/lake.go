package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
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
)

// openLake opens the tables of a folder and gives what closes them.
func openLake(ctx context.Context, cfg Config, staging objects.Bucket, logger *slog.Logger) (*lake.Lake, func() error, error) {
	curated, err := local.New("curated", cfg.path(CuratedDir), local.Immutable())
	if err != nil {
		return nil, nil, fmt.Errorf("open the curated folder: %w", err)
	}
	base := url.URL{Scheme: "file", Path: filepath.ToSlash(cfg.path(CuratedDir))}
	io, err := lake.NewIO(curated, base.String())
	if err != nil {
		return nil, nil, fmt.Errorf("open the warehouse: %w", err)
	}
	catalog, err := lakesqlite.Open(cfg.path(CatalogFile), io)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the catalog: %w", err), io.Close())
	}
	closer := func() error { return errors.Join(catalog.Close(), io.Close()) }
	l, err := lake.Open(ctx, cfg.Lake, lake.Deps{Catalog: catalog, IO: io, Staging: staging, Logger: logger})
	if err != nil {
		return nil, nil, errors.Join(err, closer())
	}
	return l, closer, nil
}
