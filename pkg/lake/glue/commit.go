package glue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/google/uuid"

	"github.com/openblotter/blotter/pkg/lake"
)

// CreateTable makes a table; catalog.ErrTableAlreadyExists if it is there,
// catalog.ErrNoSuchNamespace if its database is not. Where no location is named it lies
// below its namespace in the warehouse.
func (c *Catalog) CreateTable(ctx context.Context, ident table.Identifier, schema *iceberg.Schema, opts ...catalog.CreateTableOpt) (*table.Table, error) {
	database, name, err := names(c.cfg.Prefix, ident)
	if err != nil {
		return nil, err
	}
	cfg := catalog.NewCreateTableCfg()
	for _, opt := range opts {
		opt(&cfg)
	}
	at := strings.TrimSuffix(cfg.Location, "/")
	if at == "" {
		at = c.io.URI(ident[0] + "/" + ident[1])
	}
	meta, err := table.NewMetadata(schema, cfg.PartitionSpec, cfg.SortOrder, at, cfg.Properties)
	if err != nil {
		return nil, fmt.Errorf("make the metadata of %s.%s: %w", database, name, err)
	}
	location, err := c.write(meta, 0)
	if err != nil {
		return nil, err
	}
	calling, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	_, err = c.api.CreateTable(calling, &glue.CreateTableInput{
		CatalogId: c.account(), DatabaseName: &database, TableInput: tableInput(name, nil, meta, location),
	})
	switch {
	case isThere(err):
		// It may be ours, its first answer lost; whose it is does not matter to one who
		// loads it then. Metadata that is nobody's goes with the table's orphans.
		return nil, fmt.Errorf("%w: %s.%s in Glue", catalog.ErrTableAlreadyExists, database, name)
	case isNotFound(err):
		return nil, fmt.Errorf("%w: Glue has no database %s; make it, or allow glue:CreateDatabase", catalog.ErrNoSuchNamespace, database)
	case err != nil:
		return nil, refusal("glue:CreateTable", database+"."+name, err)
	}
	return c.LoadTable(ctx, ident)
}

// CommitTable makes updates of the table if all requirements hold for it as it is now,
// and gives the new metadata and where it lies. table.ErrCommitFailed: another commit
// came first, and nothing of this one landed. Another error of Glue does not say
// whether it did.
func (c *Catalog) CommitTable(ctx context.Context, ident table.Identifier, reqs []table.Requirement, updates []table.Update) (table.Metadata, string, error) {
	now, err := c.load(ctx, ident)
	if err != nil {
		return nil, "", err
	}
	base, from := now.iceberg.Metadata(), now.iceberg.MetadataLocation()
	for _, r := range reqs {
		if err := r.Validate(base); err != nil {
			return nil, "", err
		}
	}
	meta, err := table.UpdateTableMetadata(base, updates, from)
	if err != nil {
		return nil, "", fmt.Errorf("make the metadata of %s.%s: %w", now.database, now.name, err)
	}
	if aws.ToString(now.glue.VersionId) == "" {
		return nil, "", fmt.Errorf("%w: Glue gives no version of the table %s.%s, so that no commit to it is safe", lake.ErrIncompatible, now.database, now.name)
	}
	location, err := c.write(meta, version(from)+1)
	if err != nil {
		return nil, "", err
	}
	if err := c.update(ctx, now, meta, location); err != nil {
		landed, lookErr := c.landed(ctx, ident, location)
		switch {
		case landed:
		case lookErr != nil:
			// Not even that it came second is known for sure.
			return nil, "", errors.Join(refusal("glue:UpdateTable", now.database+"."+now.name, err), lookErr)
		case isSecond(err):
			return nil, "", fmt.Errorf("%w: %w", table.ErrCommitFailed, err)
		case isNotFound(err):
			return nil, "", fmt.Errorf("%w: %s.%s was removed from Glue", catalog.ErrNoSuchTable, now.database, now.name)
		default:
			return nil, "", refusal("glue:UpdateTable", now.database+"."+now.name, err)
		}
	}
	return meta, location, nil
}

// update moves the table of Glue to new metadata, if it has still the version that was
// loaded.
func (c *Catalog) update(ctx context.Context, now loaded, meta table.Metadata, location string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	_, err := c.api.UpdateTable(ctx, &glue.UpdateTableInput{
		CatalogId: c.account(), DatabaseName: &now.database, VersionId: now.glue.VersionId, SkipArchive: aws.Bool(true),
		TableInput: tableInput(now.name, now.glue, meta, location),
	})
	return err
}

// landed reports whether a commit is there whose answer was not that it is: as the
// table's metadata, or before it.
func (c *Catalog) landed(ctx context.Context, ident table.Identifier, location string) (bool, error) {
	now, err := c.load(ctx, ident)
	if errors.Is(err, catalog.ErrNoSuchTable) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether the commit landed: %w", err)
	}
	if now.iceberg.MetadataLocation() == location {
		return true, nil
	}
	for before := range now.iceberg.Metadata().PreviousFiles() {
		if before.MetadataFile == location {
			return true, nil
		}
	}
	return false, nil
}

// write makes a metadata file of a name that no other has, durably. It is not
// compressed, whatever the table's properties wish.
func (c *Catalog) write(meta table.Metadata, version int) (string, error) {
	provider, err := table.LoadLocationProvider(meta.Location(), meta.Properties())
	if err != nil {
		return "", fmt.Errorf("name a metadata file below %s: %w", meta.Location(), err)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("name a metadata file: %w", err)
	}
	location := provider.NewMetadataLocation(fmt.Sprintf("%05d-%s.metadata.json", version, id))
	var data bytes.Buffer
	if err := json.NewEncoder(&data).Encode(meta); err != nil {
		return "", fmt.Errorf("encode metadata: %w", err)
	}
	if err := c.io.WriteFile(location, data.Bytes()); err != nil {
		return "", fmt.Errorf("write metadata: %w", err)
	}
	return location, nil
}

// version reads the number of a metadata file from its name, 0 where it has none: names
// are new without it.
func version(location string) int {
	name := strings.TrimPrefix(path.Base(location), "v")
	digits := name[:len(name)-len(strings.TrimLeft(name, "0123456789"))]
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}
