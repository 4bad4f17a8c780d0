package registry

import (
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
)

// OfTransactions gives the registration of the pseudo-table "<db>.@txn", which
// the transaction files of the table's database belong to; false if the table's
// settings name no cdc_path. Every table of a database gives the same, since the
// files are the same: it follows from what is registered, nobody writes it down.
// The pseudo-table has no columns and no rows.
func (t Table) OfTransactions() (Table, bool) {
	if t.DMS.CDCPath == nil {
		return Table{}, false
	}
	return Table{
		ID:     dms.TableID{DB: t.ID.DB, Table: dms.TransactionTable},
		Prefix: t.Prefix, Path: *t.DMS.CDCPath, Flag: FlagLambda, OnBadRow: "fail",
		DMS:        Settings{Format: FormatCSV, Delimiter: t.DMS.Delimiter},
		PrimaryKey: []string{}, Columns: []Column{},
	}, true
}

// InTransactions gives the registration as the table's rows in a transaction
// file have it: always CSV without a header, always with an operation, whatever
// the table's own files have (DMS user guide, "Capturing data changes (CDC)
// including transaction order on the S3 target"). What stands in a row is told by
// LayoutFor with dms.KindTransaction.
func (t Table) InTransactions() Table {
	op := t.operation()
	t.DMS.Format, t.DMS.Header, t.DMS.OpColumn = FormatCSV, false, &op
	return t
}

// operation names the column that holds the operation in transaction files. Where
// the settings name none it is Op, or a name that no column has.
func (t Table) operation() string {
	if t.DMS.OpColumn != nil {
		return *t.DMS.OpColumn
	}
	if _, taken := t.Column("Op"); taken {
		return ReservedPrefix + "op"
	}
	return "Op"
}

// transactionLayouts are those registered for transaction files, else those of
// change files, each with the operation first: there it stands in every
// transaction file.
func (t Table) transactionLayouts() []Layout {
	list := t.registeredLayouts(dms.KindTransaction)
	if len(list) == 0 {
		list = t.layoutsOf(dms.KindChange)
	}
	op := t.operation()
	out := make([]Layout, len(list))
	for i, l := range list {
		out[i] = Layout{Kind: dms.KindTransaction, From: l.From, Columns: append([]string{op}, withoutName(l.Columns, op)...)}
	}
	return out
}

func withoutName(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return FoldName(n) == FoldName(name) })
}

// sourceNames are what the source may call a table, the surest first.
func (t Table) sourceNames() []sourceName {
	var names []sourceName
	// DMS lays a table's own files into <schema>/<table>/, by the same names.
	folders := strings.Split(strings.TrimSuffix(t.Path, "/"), "/")
	if n := len(folders); n >= 2 {
		names = append(names, sourceName{folders[n-2], folders[n-1]})
	}
	return append(names, sourceName{t.Schema, t.ID.Table})
}

// sourceName is a table as its source names it.
type sourceName struct{ schema, table string }

func (s sourceName) fold() sourceName { return sourceName{FoldName(s.schema), FoldName(s.table)} }

// sourceIndex finds the tables of one database by what their source calls them.
type sourceIndex struct {
	// found holds by rank the tables of a name: by folder, by schema and name, and
	// both without regard to case. A name that two tables share finds neither.
	found [4]map[sourceName][]dms.TableID
}

func (x *sourceIndex) add(t Table) {
	names := t.sourceNames()
	for i, name := range names {
		rank := i + 2 - len(names) // the folder may be missing
		x.put(rank, name, t.ID)
		x.put(rank+2, name.fold(), t.ID)
	}
}

func (x *sourceIndex) put(rank int, name sourceName, id dms.TableID) {
	if x.found[rank] == nil {
		x.found[rank] = map[sourceName][]dms.TableID{}
	}
	if !slices.Contains(x.found[rank][name], id) {
		x.found[rank][name] = append(x.found[rank][name], id)
	}
}

func (x *sourceIndex) match(name sourceName) (dms.TableID, bool) {
	for rank, tables := range x.found {
		key := name
		if rank >= 2 {
			key = name.fold()
		}
		switch ids := tables[key]; len(ids) {
		case 0:
		case 1:
			return ids[0], true
		default:
			return dms.TableID{}, false
		}
	}
	return dms.TableID{}, false
}
