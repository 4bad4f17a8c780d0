package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	icesql "github.com/apache/iceberg-go/catalog/sql"
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
	catalog, err := icesql.NewCatalog(CatalogName, db, icesql.SQLite, io.Properties())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open catalog %s: %w", path, sqlitefile.Advised(err)), db.Close())
	}
	return &Catalog{Catalog: catalog, db: db}, nil
}

// Close closes the file.
func (c *Catalog) Close() error {
	return errors.Join(c.Catalog.Close(), c.db.Close())
}
