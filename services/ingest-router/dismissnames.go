package ingestrouter

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// namedRow is an object that an operator may mean.
type namedRow struct {
	control.ObjectRow
	db string // of a part: the database of its transaction file
}

// sourceTable is a table whose rows transaction files hold.
type sourceTable struct{ db, schema, table string }

// String names the table for an operator, with what tells it from others.
func (t sourceTable) String() string {
	return fmt.Sprintf("%s.%s (--database %s --schema %s)", t.schema, t.table, t.db, t.schema)
}

func (r namedRow) source() sourceTable { return sourceTable{r.db, r.Part.Schema, r.Part.Table} }

// maxCandidates bounds the tables that a refusal names.
const maxCandidates = 20

// inDatabases keeps what the name of a request may mean, and finds the databases of the
// parts among it.
func (s *Service) inDatabases(ctx context.Context, rows []control.ObjectRow, r DismissRequest) ([]namedRow, error) {
	var named []namedRow
	partOf := map[dms.FileID]control.ObjectRow{} // by transaction file, one of its parts
	for _, row := range rows {
		isPart := !row.Part.IsZero()
		if !r.names(row) && !(isPart && row.Part.String() == r.Objects) {
			continue
		}
		if isPart {
			partOf[row.Part.FileID] = row
		}
		named = append(named, namedRow{ObjectRow: row})
	}
	databases, err := s.databasesOf(ctx, partOf)
	if err != nil {
		return nil, err
	}
	for i, row := range named {
		named[i].db = databases[row.Part.FileID]
	}
	return named, nil
}

// parallelReads bounds the rows that are read at once.
const parallelReads = 32

// databasesOf gives the databases of transaction files, each known by one of its parts.
// There may be very many, and far away: they are read beside one another.
func (s *Service) databasesOf(ctx context.Context, partOf map[dms.FileID]control.ObjectRow) (map[dms.FileID]string, error) {
	var mu sync.Mutex
	databases := make(map[dms.FileID]string, len(partOf))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for id, part := range partOf {
		group.Go(func() error {
			whole, err := s.deps.Objects.Object(ctx, id)
			if err != nil {
				return fmt.Errorf("find the transaction file of part %s in %s: %w", part.Part, part.Object.Key, err)
			}
			mu.Lock()
			defer mu.Unlock()
			databases[id] = whole.Table.DB
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return databases, nil
}

// names reports whether a request names an object by its key, or by a folder.
func (r DismissRequest) names(row control.ObjectRow) bool {
	if strings.HasSuffix(r.Objects, "/") {
		return strings.HasPrefix(row.Object.Key, r.Objects)
	}
	return row.Object.Key == r.Objects
}

// ofTable reports whether a request says where its table is, so that it names one.
func (r DismissRequest) ofTable() bool { return r.Database != "" || r.Schema != "" }

// isTable reports whether a request names a part by the table whose rows it is.
func (r DismissRequest) isTable(row namedRow) bool {
	return !row.Part.IsZero() && row.Part.String() == r.Objects &&
		(r.Database == "" || r.Database == row.db) && (r.Schema == "" || r.Schema == row.Part.Schema)
}

// means reports whether a request names an object in the way in which it is decided
// about: a whole one by key or folder, a part by its table.
func (r DismissRequest) means(row namedRow) bool {
	return r.isTable(row) || row.Part.IsZero() && !r.ofTable() && r.names(row.ObjectRow)
}

// meant gives the objects that a request means: whole ones by key or folder, parts by
// the one table whose rows they are. why tells why nothing is meant, and what to name.
func (r DismissRequest) meant(named []namedRow) (meant []namedRow, why string) {
	var whole, parts, inside []namedRow
	tables := map[sourceTable]bool{}
	for _, row := range named {
		switch {
		case r.isTable(row):
			parts = append(parts, row)
			tables[row.source()] = true
		case row.Part.IsZero():
			whole = append(whole, row)
		case r.names(row.ObjectRow):
			inside = append(inside, row)
		}
	}
	switch {
	case len(tables) > 1:
		return nil, fmt.Sprintf("%q may be one of several tables: %s; say which", r.Objects, list(tables))
	case len(parts) > 0:
		return parts, ""
	case r.ofTable() && len(whole)+len(inside) > 0:
		return nil, fmt.Sprintf("%q names objects by their keys, of which no database or schema is known: "+
			"leave out --database and --schema, or name a table by <schema>.<table>", r.Objects)
	case len(whole) > 0:
		return whole, ""
	case len(inside) > 0:
		for _, row := range inside {
			tables[row.source()] = true
		}
		return nil, fmt.Sprintf("%q holds rows of tables in transaction files, which are decided about by table; name one of them: %s", r.Objects, list(tables))
	}
	what, see := "held", "blotter held list"
	if r.TakeBack {
		what, see = "ignored", "blotter held list --ignored"
	}
	of := ""
	if r.Database != "" {
		of += " in database " + r.Database
	}
	if r.Schema != "" {
		of += " in schema " + r.Schema
	}
	return nil, fmt.Sprintf("no %s object is named by %q%s; see `%s`", what, r.Objects, of, see)
}

// maxNear bounds the folders and keys that may have been meant.
const maxNear = 3

// near tells of whole objects that a name may mean which names none: it lacks the slash
// at the end of a folder, or what stands before it, or is <schema>.<table> where these
// are folders. It is empty if there are none, or the request names a table.
func (r DismissRequest) near(rows []control.ObjectRow) string {
	name := strings.Trim(r.Objects, "/")
	if name == "" || r.ofTable() {
		return ""
	}
	var found []string
	names := []string{name, strings.ReplaceAll(name, ".", "/")}
	for _, row := range rows {
		if !row.Part.IsZero() {
			continue
		}
		for _, n := range names {
			if at := endOf(row.Object.Key, n); at > 0 && len(found) < maxNear && !slices.Contains(found, row.Object.Key[:at]) {
				found = append(found, row.Object.Key[:at])
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return "; did you mean " + strings.Join(found, " or ") + "?"
}

// endOf gives where a name of whole folders, or of the object, ends in a key: behind the
// slash of a folder. It is 0 if the key does not hold it.
func endOf(key, name string) int {
	at := strings.Index("/"+key+"/", "/"+name+"/")
	if at < 0 {
		return 0
	}
	return min(at+len(name)+1, len(key))
}

func list(tables map[sourceTable]bool) string {
	var names []string
	for t := range maps.Keys(tables) {
		names = append(names, t.String())
	}
	slices.Sort(names)
	if more := len(names) - maxCandidates; more > 0 {
		names = append(names[:maxCandidates], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
