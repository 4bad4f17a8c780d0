package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/apache/iceberg-go/catalog"
	icesql "github.com/apache/iceberg-go/catalog/sql"
	"github.com/apache/iceberg-go/table"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/sqlitefile"
)

// CatalogName is the name under which tables stand in the catalog's file; other
// readers must give it too.
const CatalogName = "blotter"

// Catalog is a catalog in a SQLite file.
type Catalog struct {
	*icesql.Catalog
	db *sql.DB
	io *lake.IO
}

var _ lake.Catalog = (*Catalog)(nil)

// Open opens the catalog at path, creating it if it is not there. A commit is
// on disk when it returns (WAL, synchronous=FULL). Several processes may open
// the same file; a writer waits ten seconds for another one.
func Open(path string, io *lake.IO) (*Catalog, error) {
	dsn := (&url.URL{
		Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(),
		RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)",
	}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open catalog %s: %w", path, err)
	}
	opened, err := icesql.NewCatalog(CatalogName, db, icesql.SQLite, io.Properties())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", path, sqlitefile.Advised(err)), db.Close())
	}
	return &Catalog{Catalog: opened, db: db, io: io}, nil
}

// LoadTable gives a table as the catalog has it; catalog.ErrNoSuchTable if it has none,
// a *lake.DamagedError if its metadata are gone or cannot be understood.
func (c *Catalog) LoadTable(ctx context.Context, identifier table.Identifier) (*table.Table, error) {
	tbl, err := c.Catalog.LoadTable(ctx, identifier)
	if err == nil || errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace) || ctx.Err() != nil {
		return tbl, err
	}
	var location string
	namespace := strings.Join(catalog.NamespaceFromIdent(identifier), ".")
	row := c.db.QueryRowContext(ctx, `SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?`,
		CatalogName, namespace, catalog.TableNameFromIdent(identifier))
	if row.Scan(&location) != nil {
		return nil, err // the catalog itself cannot be read
	}
	return nil, lake.Damage(c.io, location, err)
}

// Close closes the file.
func (c *Catalog) Close() error {
	return errors.Join(c.Catalog.Close(), c.db.Close())
}
