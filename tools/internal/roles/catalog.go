package roles

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	awsglue "github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/lake"
	lakeglue "github.com/openblotter/blotter/pkg/lake/glue"
	lakesqlite "github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/pkg/registry"
)

// The parameters of a catalog in Glue.
const (
	paramAccount = "account"
	paramRegion  = "region"
)

// parseCatalog reads a path, or glue://[PREFIX][?account=ID&region=NAME].
func parseCatalog(uri string) (address, error) {
	rest, ok := strings.CutPrefix(uri, schemeGlue+"://")
	if !ok {
		a, err := parseAddress(uri, "a file")
		if err != nil {
			err = fmt.Errorf("%w or glue://…", err)
		}
		return a, err
	}
	prefix, query, _ := strings.Cut(rest, "?")
	a := address{scheme: schemeGlue, name: prefix}
	params, err := url.ParseQuery(query)
	if err != nil {
		return address{}, fmt.Errorf("%q: read what follows the question mark: %w", uri, err)
	}
	for name, values := range params {
		switch {
		case len(values) != 1 || values[0] == "":
			err = errors.Join(err, fmt.Errorf("%q: expected one value for %s", uri, name))
		case name == paramAccount:
			a.account = values[0]
		case name == paramRegion:
			a.region = values[0]
		default:
			err = errors.Join(err, fmt.Errorf("%q: %s is not known; expected %s or %s", uri, name, paramAccount, paramRegion))
		}
	}
	if err != nil {
		return address{}, err
	}
	if err := a.onGlue().Validate(); err != nil {
		return address{}, fmt.Errorf("%q: %w", uri, err)
	}
	return a, nil
}

// onGlue is the configuration of a catalog in Glue.
func (a address) onGlue() lakeglue.Config {
	cfg := lakeglue.DefaultConfig()
	cfg.Account, cfg.Prefix = a.account, a.name
	return cfg
}

func (a address) glueURI() string {
	params := url.Values{}
	for name, value := range map[string]string{paramAccount: a.account, paramRegion: a.region} {
		if value != "" {
			params.Set(name, value)
		}
	}
	uri := schemeGlue + "://" + a.name
	if len(params) > 0 {
		uri += "?" + params.Encode()
	}
	return uri
}

// CheckTables reports all tables that the catalog cannot hold, before they are
// registered.
func (p Places) CheckTables(specs []registry.Table) error {
	a, err := parseCatalog(p.Catalog)
	if err != nil || a.scheme != schemeGlue {
		return err
	}
	var faults []error
	for _, spec := range specs {
		if err := lakeglue.CheckName(a.name, spec.ID); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", spec.ID, err))
		}
	}
	return errors.Join(faults...)
}

// catalog opens the Iceberg catalog of tables whose files lie in io.
func (o *opener) catalog(ctx context.Context, io *lake.IO) (lake.Catalog, func() error, error) {
	a, err := o.cfg.address("catalog")
	if err != nil {
		return nil, nil, fmt.Errorf("--catalog: %w", err)
	}
	if a.scheme == schemeGlue {
		c, err := o.onGlue(ctx, a, io)
		if err != nil {
			return nil, nil, fmt.Errorf("--catalog: %w", err)
		}
		return c, func() error { return nil }, nil
	}
	c, err := lakesqlite.Open(a.path, io)
	if err != nil {
		return nil, nil, err
	}
	return c, c.Close, nil
}

// onGlue opens a catalog in Glue; that Glue can be asked shows now.
func (o *opener) onGlue(ctx context.Context, a address, io *lake.IO) (*lakeglue.Catalog, error) {
	cfg, err := o.toAWS(ctx)
	if err != nil {
		return nil, err
	}
	if a.region != "" {
		cfg = cfg.Copy()
		cfg.Region = a.region
	}
	c, err := lakeglue.New(awsglue.NewFromConfig(cfg), io, a.onGlue())
	if err != nil {
		return nil, err
	}
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := c.Check(looking); err != nil {
		return nil, fmt.Errorf("the Data Catalog cannot be asked in region %s: %w", cfg.Region, err)
	}
	return c, nil
}
