package glue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	iceio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/openblotter/blotter/pkg/lake"
)

// The parameters by which a table of Glue is one of Iceberg.
const (
	paramType     = "table_type"
	paramLocation = "metadata_location"
	paramPrevious = "previous_metadata_location"

	typeIceberg   = "ICEBERG"
	typeExternal  = "EXTERNAL_TABLE"
	aboutDatabase = "Tables that Blotter keeps"
)

// DefaultCallTimeout bounds one call of Glue, its repetitions included.
const DefaultCallTimeout = 2 * time.Minute

// API is what the catalog calls of Glue.
type API interface {
	GetDatabase(context.Context, *glue.GetDatabaseInput, ...func(*glue.Options)) (*glue.GetDatabaseOutput, error)
	CreateDatabase(context.Context, *glue.CreateDatabaseInput, ...func(*glue.Options)) (*glue.CreateDatabaseOutput, error)
	GetTable(context.Context, *glue.GetTableInput, ...func(*glue.Options)) (*glue.GetTableOutput, error)
	CreateTable(context.Context, *glue.CreateTableInput, ...func(*glue.Options)) (*glue.CreateTableOutput, error)
	UpdateTable(context.Context, *glue.UpdateTableInput, ...func(*glue.Options)) (*glue.UpdateTableOutput, error)
}

var _ API = (*glue.Client)(nil)

// Config says which tables of Glue are meant.
type Config struct {
	// Account is the id of the account whose Data Catalog it is; empty: the caller's.
	Account string
	// Prefix begins the names of all databases: small letters, digits and underscores.
	Prefix string
	// CallTimeout bounds one call, its repetitions included.
	CallTimeout time.Duration
}

// DefaultConfig is the caller's own catalog, its databases named as the namespaces are.
func DefaultConfig() Config { return Config{CallTimeout: DefaultCallTimeout} }

// Validate reports all faults together.
func (c Config) Validate() error {
	var faults []error
	if !prefixForm.MatchString(c.Prefix) {
		faults = append(faults, fmt.Errorf("the prefix %q of Glue's databases: expected at most 100 small letters, digits and underscores", c.Prefix))
	}
	if c.Account != "" && (len(c.Account) != 12 || strings.Trim(c.Account, "0123456789") != "") {
		faults = append(faults, fmt.Errorf("the account %q of Glue's catalog: expected 12 digits", c.Account))
	}
	if c.CallTimeout <= 0 {
		faults = append(faults, errors.New("the timeout of Glue's calls must be longer than 0"))
	}
	return errors.Join(faults...)
}

// Catalog is a catalog in Glue. Its methods may be used by many goroutines, and many
// catalogs may work on the same tables.
type Catalog struct {
	api API
	io  *lake.IO
	cfg Config
}

var (
	_ lake.Catalog    = (*Catalog)(nil)
	_ table.CatalogIO = (*Catalog)(nil)
)

// New makes a catalog of tables whose files lie in io. It calls nothing yet.
func New(api API, io *lake.IO, cfg Config) (*Catalog, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Catalog{api: api, io: io, cfg: cfg}, nil
}

// Check reports whether Glue answers: a right that is missing is no fault, since it may
// be there for the databases that are meant.
func (c *Catalog) Check(ctx context.Context) error {
	err := c.getDatabase(ctx, c.cfg.Prefix+"blotter")
	if err == nil || isNotFound(err) || isDenied(err) {
		return nil
	}
	return fmt.Errorf("ask Glue: %w", err)
}

// LoadTable gives a table as the catalog has it; catalog.ErrNoSuchTable if it has none.
// A table of Glue that is none of Iceberg, or that Glue cannot name, is
// lake.ErrIncompatible.
func (c *Catalog) LoadTable(ctx context.Context, ident table.Identifier) (*table.Table, error) {
	t, err := c.load(ctx, ident)
	if err != nil {
		return nil, err
	}
	return t.iceberg, nil
}

// loaded is a table in both forms.
type loaded struct {
	database, name string
	glue           *types.Table
	iceberg        *table.Table
}

func (c *Catalog) load(ctx context.Context, ident table.Identifier) (loaded, error) {
	database, name, err := names(c.cfg.Prefix, ident)
	if err != nil {
		return loaded{}, err
	}
	t, err := c.getTable(ctx, database, name)
	if err != nil {
		return loaded{}, err
	}
	location := t.Parameters[paramLocation]
	if !strings.EqualFold(t.Parameters[paramType], typeIceberg) || location == "" {
		return loaded{}, fmt.Errorf("%w: Glue has a table %s.%s that is none of Iceberg; remove it, or register this one under another name",
			lake.ErrIncompatible, database, name)
	}
	tbl, err := table.NewFromLocation(ctx, ident, location, c.fs, c)
	if err != nil {
		return loaded{}, fmt.Errorf("read the metadata of %s.%s: %w", database, name, lake.Damage(c.io, location, err))
	}
	return loaded{database: database, name: name, glue: t, iceberg: tbl}, nil
}

// fs is the way to the files of every table.
func (c *Catalog) fs(context.Context) (iceio.IO, error) { return c.io, nil }

func (c *Catalog) getTable(ctx context.Context, database, name string) (*types.Table, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	out, err := c.api.GetTable(ctx, &glue.GetTableInput{CatalogId: c.account(), DatabaseName: &database, Name: &name})
	switch {
	case isNotFound(err):
		return nil, fmt.Errorf("%w: %s.%s in Glue", catalog.ErrNoSuchTable, database, name)
	case err != nil:
		return nil, refusal("glue:GetTable", database+"."+name, err)
	case out.Table == nil:
		return nil, fmt.Errorf("Glue answers without the table %s.%s", database, name) //nolint:staticcheck // Glue is a name
	}
	return out.Table, nil
}

func (c *Catalog) getDatabase(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	_, err := c.api.GetDatabase(ctx, &glue.GetDatabaseInput{CatalogId: c.account(), Name: &name})
	return err
}

// CreateNamespace makes the database of a namespace; catalog.ErrNamespaceAlreadyExists
// if it is there. It is given no location, so that nobody's tables lie in the warehouse
// by default. Of props, Glue keeps what is in them as parameters.
func (c *Catalog) CreateNamespace(ctx context.Context, namespace table.Identifier, props iceberg.Properties) error {
	name, err := databaseName(c.cfg.Prefix, namespace)
	if err != nil {
		return err
	}
	switch err := c.getDatabase(ctx, name); {
	case err == nil:
		return fmt.Errorf("%w: database %s in Glue", catalog.ErrNamespaceAlreadyExists, name)
	case !isNotFound(err):
		return refusal("glue:GetDatabase", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	_, err = c.api.CreateDatabase(ctx, &glue.CreateDatabaseInput{
		CatalogId:     c.account(),
		DatabaseInput: &types.DatabaseInput{Name: &name, Description: aws.String(aboutDatabase), Parameters: props},
	})
	switch {
	case isThere(err):
		return fmt.Errorf("%w: database %s in Glue", catalog.ErrNamespaceAlreadyExists, name)
	case err != nil:
		return refusal("glue:CreateDatabase", name, err)
	}
	return nil
}

func (c *Catalog) account() *string {
	if c.cfg.Account == "" {
		return nil
	}
	return &c.cfg.Account
}
