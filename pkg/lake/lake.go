package lake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

// Lake keeps the tables of one catalog. Its methods may be used by many
// goroutines, and many Lakes may work on one catalog.
type Lake struct {
	cfg     Config
	catalog Catalog
	io      *IO
	bucket  objects.Bucket
	staging objects.Bucket
	log     *slog.Logger
	now     func() time.Time
	step    func(Step) error
	// verified holds the keys of tombstone files whose hash was compared.
	verified *lru.Cache[string, struct{}]
	named    namedObjects
}

// verifiedTombstones is how many files of remembered deletes are known to be whole,
// those that were used last; a table has MaxTombstoneFiles of them. One takes some
// 200 bytes, and one that is forgotten is hashed again.
const verifiedTombstones = 4096

// Open begins to work on a catalog. It reads nothing yet; all faults of cfg and
// deps are reported together.
func Open(_ context.Context, cfg Config, deps Deps) (*Lake, error) {
	err := cfg.Validate()
	if deps.Catalog == nil || deps.IO == nil || deps.Staging == nil {
		err = errors.Join(err, errors.New("lake: catalog, warehouse or staging bucket is missing"))
	}
	if err != nil {
		return nil, err
	}
	l := &Lake{cfg: cfg, catalog: deps.Catalog, io: deps.IO, bucket: deps.IO.Bucket(), staging: deps.Staging, log: deps.Logger, now: deps.Now, step: deps.Step}
	if l.verified, err = lru.New[string, struct{}](verifiedTombstones); err != nil {
		return nil, fmt.Errorf("remember what is verified: %w", err)
	}
	if l.named, err = newNamedObjects(); err != nil {
		return nil, err
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.step == nil {
		l.step = func(Step) error { return nil }
	}
	return l, nil
}

// load gives the table as the catalog has it; ErrNoTable if it has none.
func (l *Lake) load(ctx context.Context, id dms.TableID) (*table.Table, error) {
	tbl, err := l.catalog.LoadTable(ctx, Identifier(id))
	switch {
	case errors.Is(err, catalog.ErrNoSuchTable), errors.Is(err, catalog.ErrNoSuchNamespace):
		return nil, fmt.Errorf("load table %s: %w", id, ErrNoTable)
	case err != nil:
		return nil, fmt.Errorf("load table %s: %w", id, l.io.gone(err))
	}
	return tbl, nil
}

func (l *Lake) loadOrCreate(ctx context.Context, spec registry.Table) (*table.Table, error) {
	tbl, err := l.load(ctx, spec.ID)
	if !errors.Is(err, ErrNoTable) {
		return tbl, err
	}
	order, err := keySortOrder(spec)
	if err != nil {
		return nil, fmt.Errorf("create table %s: %w", spec.ID, err)
	}
	ident := Identifier(spec.ID)
	if err := l.catalog.CreateNamespace(ctx, ident[:1], nil); err != nil && !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		// Another process may have been faster in a way that the catalog cannot
		// tell from a fault; then the table can be created all the same.
		l.log.WarnContext(ctx, "create namespace", "namespace", ident[0], "error", err)
	}
	_, err = l.catalog.CreateTable(ctx, ident, createSchema(spec),
		catalog.WithLocation(l.io.URI(tableFolder(spec.ID))),
		catalog.WithSortOrder(order),
		catalog.WithProperties(iceberg.Properties{
			table.PropertyFormatVersion:                  "2",
			"write.delete.granularity":                   "file",
			"commit.manifest-merge.enabled":              "true",
			"write.metadata.delete-after-commit.enabled": "true",
			PropertyKey:   keyProperty(spec),
			PropertyTable: spec.ID.String(),
			PropertySpec:  strconv.FormatUint(spec.Version, 10),
		}))
	if err != nil && !errors.Is(err, catalog.ErrTableAlreadyExists) {
		return nil, fmt.Errorf("create table %s: %w", spec.ID, err)
	}
	return l.load(ctx, spec.ID)
}

// loadAfter is loadOrCreate for a table that carries a token; 0: it may carry none. One
// that is not there is not created: it would be in the way of who puts it back.
func (l *Lake) loadAfter(ctx context.Context, spec registry.Table, after uint64) (*table.Table, error) {
	if after == 0 {
		return l.loadOrCreate(ctx, spec)
	}
	tbl, err := l.load(ctx, spec.ID)
	if errors.Is(err, ErrNoTable) {
		return nil, &SetBackError{0, fmt.Sprintf("the catalog knows no such table, and a commit was made under token %d", after)}
	}
	return tbl, err
}
