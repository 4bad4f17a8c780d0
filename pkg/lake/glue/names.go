package glue

import (
	"fmt"
	"regexp"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

// nameForm is what Glue keeps as it is written and Athena reads without quotes: Glue
// folds capitals, so that two tables would become one.
var nameForm = regexp.MustCompile(`^[a-z0-9_]{1,255}$`)

// prefixForm leaves room for a namespace.
var prefixForm = regexp.MustCompile(`^[a-z0-9_]{0,100}$`)

// CheckName reports why the catalog of a prefix cannot hold a table; the error is a
// lake.ErrIncompatible.
func CheckName(prefix string, id dms.TableID) error {
	ident := lake.Identifier(id)
	_, _, err := names(prefix, ident)
	return err
}

// names gives the names of database and table in Glue.
func names(prefix string, ident table.Identifier) (database, name string, err error) {
	if len(ident) != 2 {
		return "", "", fmt.Errorf("%w: Glue names a table by database and name, not by %q", lake.ErrIncompatible, ident)
	}
	if database, err = databaseName(prefix, ident[:1]); err != nil {
		return "", "", err
	}
	if !nameForm.MatchString(ident[1]) {
		return "", "", unnamable("table", ident[1])
	}
	return database, ident[1], nil
}

func databaseName(prefix string, namespace table.Identifier) (string, error) {
	if len(namespace) != 1 {
		return "", fmt.Errorf("%w: Glue names a database by one name, not by %q", lake.ErrIncompatible, namespace)
	}
	name := prefix + namespace[0]
	if !nameForm.MatchString(name) {
		return "", unnamable("database", name)
	}
	return name, nil
}

func unnamable(what, name string) error {
	return fmt.Errorf("%w: the Glue Data Catalog holds no %s %q; expected 1 to 255 small letters, digits and underscores: "+
		"register the table under such names, `source: {schema: …}` and `path:` can stay as DMS writes them", lake.ErrIncompatible, what, name)
}
