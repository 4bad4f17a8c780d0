package lake

import (
	"context"
	"errors"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
)

// Catalog is what this package asks of an Iceberg catalog. The tables that it
// loads must commit through it and use the IO of the Lake.
type Catalog interface {
	LoadTable(ctx context.Context, identifier table.Identifier) (*table.Table, error)
	CreateTable(ctx context.Context, identifier table.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error)
	CreateNamespace(ctx context.Context, namespace table.Identifier, props iceberg.Properties) error
	CommitTable(ctx context.Context, identifier table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error)
}

// IsStaleCommit reports whether a commit failed because the table was changed
// after it was read, so that nothing of it was written. iceberg-go has a
// sentinel for a changed pointer only; a failed requirement is plain text.
func IsStaleCommit(err error) bool {
	if errors.Is(err, table.ErrCommitFailed) {
		return true
	}
	return err != nil && strings.Contains(strings.ToLower(err.Error()), "requirement failed:")
}
