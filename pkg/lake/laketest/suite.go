package laketest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/catalog"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/lake"
)

// Site is where one catalog lies: nothing is in it yet.
type Site struct {
	IO *lake.IO
	// Open opens the catalog as another process does; the test's end closes it.
	Open func(t *testing.T) lake.Catalog
	// Namespace is one that no other test uses, of small letters and digits.
	Namespace string
}

// Run runs the suite; open makes a site for one test.
func Run(t *testing.T, open func(t *testing.T) Site) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"Nothing", nothing},
		{"CreateNamespace", createNamespace},
		{"CreateAndLoad", createAndLoad},
		{"CreateTwice", createTwice},
		{"CreateAtOnce", createAtOnce},
		{"CommitOfNoTable", commitOfNoTable},
		{"Properties", properties},
		{"Evolve", evolve},
		{"Stale", stale},
		{"StaleEmpty", staleEmpty},
		{"Unpinned", unpinned},
		{"ManyWriters", manyWriters},
		{"TwoTables", twoTables},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			test.run(t, &site{Site: s, first: s.Open(t), second: s.Open(t)})
		})
	}
}

// site is a Site that two processes have open.
type site struct {
	Site
	first, second lake.Catalog
}

func (s *site) ident(name string) table.Identifier { return table.Identifier{s.Namespace, name} }

func schema() *iceberg.Schema {
	return iceberg.NewSchema(0,
		iceberg.NestedField{ID: 1, Name: "id", Type: iceberg.PrimitiveTypes.Int64, Required: true},
		iceberg.NestedField{ID: 2, Name: "Status", Type: iceberg.PrimitiveTypes.String, Doc: "open or closed"},
		iceberg.NestedField{ID: 3, Name: "fee", Type: iceberg.DecimalTypeOf(20, 2)})
}

func create(ctx context.Context, s *site, c lake.Catalog, name string) (*table.Table, error) {
	order, err := table.NewSortOrder(1, []table.SortField{{SourceIDs: []int{1}, Transform: iceberg.IdentityTransform{}, Direction: table.SortASC, NullOrder: table.NullsFirst}})
	if err != nil {
		return nil, err
	}
	return c.CreateTable(ctx, s.ident(name), schema(), catalog.WithLocation(s.IO.URI(s.Namespace+"/"+name)), catalog.WithSortOrder(order),
		catalog.WithProperties(iceberg.Properties{table.PropertyFormatVersion: "2", "blotter.table": "rms." + name, "kept": "as it is"}))
}

// made makes a table by the first process.
func (s *site) made(t *testing.T, name string) *table.Table {
	t.Helper()
	if err := s.first.CreateNamespace(t.Context(), s.ident("")[:1], nil); err != nil && !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
		t.Fatal(err)
	}
	tbl, err := create(t.Context(), s, s.first, name)
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func load(t *testing.T, c lake.Catalog, ident table.Identifier) *table.Table {
	t.Helper()
	tbl, err := c.LoadTable(t.Context(), ident)
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

// snapshot commits an empty snapshot and properties, if the table's snapshot is the one
// that tbl has.
func snapshot(ctx context.Context, tbl *table.Table, props iceberg.Properties) (*table.Table, error) {
	tx := tbl.NewTransaction()
	if err := tx.AssertRefSnapshotID(table.MainBranch); err != nil {
		return nil, err
	}
	columns, err := table.SchemaToArrowSchema(tbl.Schema(), nil, true, false)
	if err != nil {
		return nil, err
	}
	rows, err := array.NewRecordReader(columns, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Release()
	if err := tx.Append(ctx, rows, nil); err != nil {
		return nil, err
	}
	if err := tx.SetProperties(props); err != nil {
		return nil, err
	}
	return tx.Commit(ctx)
}

func mustSnapshot(t *testing.T, tbl *table.Table, props iceberg.Properties) *table.Table {
	t.Helper()
	tbl, err := snapshot(t.Context(), tbl, props)
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func snapshots(tbl *table.Table) int { return len(tbl.Metadata().Snapshots()) }

func wantProperty(t *testing.T, tbl *table.Table, key, want string) {
	t.Helper()
	if got := tbl.Properties()[key]; got != want {
		t.Errorf("property %s is %q, expected %q", key, got, want)
	}
}

func nothing(t *testing.T, s *site) {
	missing := func(err error) bool {
		return errors.Is(err, catalog.ErrNoSuchTable) || errors.Is(err, catalog.ErrNoSuchNamespace)
	}
	if _, err := s.first.LoadTable(t.Context(), s.ident("reports")); !missing(err) {
		t.Errorf("a table of no namespace: %v", err)
	}
	if _, err := create(t.Context(), s, s.first, "reports"); !errors.Is(err, catalog.ErrNoSuchNamespace) {
		t.Errorf("a table is created in no namespace: %v", err)
	}
	if err := s.first.CreateNamespace(t.Context(), s.ident("")[:1], nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.first.LoadTable(t.Context(), s.ident("reports")); !missing(err) {
		t.Errorf("a table that is not there: %v", err)
	}
}

func createNamespace(t *testing.T, s *site) {
	if err := s.first.CreateNamespace(t.Context(), s.ident("")[:1], nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []lake.Catalog{s.first, s.second} {
		if err := c.CreateNamespace(t.Context(), s.ident("")[:1], nil); !errors.Is(err, catalog.ErrNamespaceAlreadyExists) {
			t.Errorf("a namespace that is there: %v", err)
		}
	}
}

func createAndLoad(t *testing.T, s *site) {
	made := s.made(t, "reports")
	for _, c := range []lake.Catalog{s.first, s.second} {
		tbl := load(t, c, s.ident("reports"))
		if !tbl.Metadata().Equals(made.Metadata()) || tbl.MetadataLocation() != made.MetadataLocation() {
			t.Errorf("another table is loaded than was made: %s, not %s", tbl.MetadataLocation(), made.MetadataLocation())
		}
		if got, want := fmt.Sprint(tbl.Identifier()), fmt.Sprint(s.ident("reports")); got != want {
			t.Errorf("it is called %s, not %s", got, want)
		}
		if tbl.Location() != s.IO.URI(s.Namespace+"/reports") {
			t.Errorf("it lies at %s", tbl.Location())
		}
		if !tbl.Schema().Equals(schema()) {
			t.Errorf("its columns are %s", tbl.Schema())
		}
		if order := tbl.SortOrder(); order.OrderID() != 1 || order.Len() != 1 {
			t.Errorf("it is sorted by %s", order)
		}
		if tbl.CurrentSnapshot() != nil || tbl.Metadata().Version() != 2 {
			t.Errorf("format %d, snapshot %v", tbl.Metadata().Version(), tbl.CurrentSnapshot())
		}
		wantProperty(t, tbl, "blotter.table", "rms.reports")
	}
}

func createTwice(t *testing.T, s *site) {
	first := mustSnapshot(t, s.made(t, "reports"), iceberg.Properties{"mark": "1"})
	for _, c := range []lake.Catalog{s.first, s.second} {
		if _, err := create(t.Context(), s, c, "reports"); !errors.Is(err, catalog.ErrTableAlreadyExists) {
			t.Errorf("a table that is there: %v", err)
		}
	}
	if tbl := load(t, s.second, s.ident("reports")); tbl.MetadataLocation() != first.MetadataLocation() {
		t.Errorf("the table is %s now, not %s", tbl.MetadataLocation(), first.MetadataLocation())
	}
}

// createAtOnce: of many, one makes the table, and all others hear that it is there.
func createAtOnce(t *testing.T, s *site) {
	if err := s.first.CreateNamespace(t.Context(), s.ident("")[:1], nil); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		c := []lake.Catalog{s.first, s.second}[i%2]
		wg.Go(func() { _, errs[i] = create(t.Context(), s, c, "reports") })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else if !errors.Is(err, catalog.ErrTableAlreadyExists) {
			t.Errorf("one of many gets %v", err)
		}
	}
	if made != 1 {
		t.Errorf("%d made the table", made)
	}
	mustSnapshot(t, load(t, s.second, s.ident("reports")), nil)
}

func commitOfNoTable(t *testing.T, s *site) {
	s.made(t, "reports")
	_, _, err := s.first.CommitTable(t.Context(), s.ident("people"), []table.Requirement{table.AssertRefSnapshotID(table.MainBranch, nil)},
		[]table.Update{table.NewSetPropertiesUpdate(iceberg.Properties{"a": "b"})})
	if err == nil {
		t.Error("a table that is not there takes a commit")
	}
	if _, err := s.first.LoadTable(t.Context(), s.ident("people")); !errors.Is(err, catalog.ErrNoSuchTable) {
		t.Errorf("a commit made the table: %v", err)
	}
}

// properties are kept exactly, long ones too, those that are removed are gone, and the
// metadata before is named.
func properties(t *testing.T, s *site) {
	tbl := s.made(t, "reports")
	long := make([]byte, 600_000) // longer than a parameter of Glue may be
	for i := range long {
		long[i] = byte('a' + i%26)
	}
	next := mustSnapshot(t, tbl, iceberg.Properties{"blotter.publish": string(long), "empty": "", "umlaut": "Größe \"\\\n"})
	if n := snapshots(next); n != 1 {
		t.Errorf("%d snapshots", n)
	}
	if _, _, err := s.second.CommitTable(t.Context(), s.ident("reports"), nil, []table.Update{
		table.NewRemovePropertiesUpdate([]string{"empty"}), table.NewSetPropertiesUpdate(iceberg.Properties{"blotter.publish": "short"})}); err != nil {
		t.Fatal(err)
	}
	got := load(t, s.first, s.ident("reports"))
	wantProperty(t, next, "blotter.publish", string(long))
	wantProperty(t, got, "blotter.publish", "short")
	wantProperty(t, got, "umlaut", "Größe \"\\\n")
	wantProperty(t, got, "kept", "as it is")
	if _, ok := got.Properties()["empty"]; ok {
		t.Error("a property that was removed is there")
	}
	var before []string
	for entry := range got.Metadata().PreviousFiles() {
		before = append(before, entry.MetadataFile)
	}
	if want := []string{tbl.MetadataLocation(), next.MetadataLocation()}; fmt.Sprint(before) != fmt.Sprint(want) {
		t.Errorf("the metadata before is %q, expected %q", before, want)
	}
}

func evolve(t *testing.T, s *site) {
	tx := s.made(t, "reports").NewTransaction()
	err := tx.UpdateSchema(true, false).AddColumn([]string{"born"}, iceberg.PrimitiveTypes.Date, "of the person", false, nil).Commit()
	if err == nil {
		_, err = tx.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, s.second, s.ident("reports")).Schema()
	if f, ok := got.FindFieldByName("born"); !ok || f.ID != 4 || got.NumFields() != 4 {
		t.Errorf("the columns are %s", got)
	}
}

// stale: of two that read the same snapshot one commits; the other hears that it came
// second, and nothing of it is there.
func stale(t *testing.T, s *site) {
	mustSnapshot(t, s.made(t, "reports"), nil)
	one, two := load(t, s.first, s.ident("reports")), load(t, s.second, s.ident("reports"))
	mustSnapshot(t, one, iceberg.Properties{"writer": "one"})
	if _, err := snapshot(t.Context(), two, iceberg.Properties{"writer": "two", "second": "yes"}); !lake.IsStaleCommit(err) {
		t.Fatalf("the second commit gives %v", err)
	}
	got := load(t, s.second, s.ident("reports"))
	wantProperty(t, got, "writer", "one")
	wantProperty(t, got, "second", "")
	if n := snapshots(got); n != 2 {
		t.Errorf("%d snapshots", n)
	}
	mustSnapshot(t, got, iceberg.Properties{"writer": "two"})
	wantProperty(t, load(t, s.first, s.ident("reports")), "writer", "two")
}

// staleEmpty is stale for a table without a snapshot.
func staleEmpty(t *testing.T, s *site) {
	one := s.made(t, "reports")
	two := load(t, s.second, s.ident("reports"))
	mustSnapshot(t, one, iceberg.Properties{"writer": "one"})
	if _, err := snapshot(t.Context(), two, iceberg.Properties{"writer": "two"}); !lake.IsStaleCommit(err) {
		t.Fatalf("the second commit gives %v", err)
	}
	wantProperty(t, load(t, s.second, s.ident("reports")), "writer", "one")
}

// unpinned: a commit that requires nothing is made of the table as it is, and takes
// nothing of another away.
func unpinned(t *testing.T, s *site) {
	tbl := s.made(t, "reports")
	mustSnapshot(t, tbl, iceberg.Properties{"one": "1"})
	meta, location, err := s.second.CommitTable(t.Context(), s.ident("reports"), nil,
		[]table.Update{table.NewSetPropertiesUpdate(iceberg.Properties{"two": "2"})})
	if err != nil || meta.Properties()["two"] != "2" {
		t.Fatal(err)
	}
	got := load(t, s.second, s.ident("reports"))
	wantProperty(t, got, "one", "1")
	wantProperty(t, got, "two", "2")
	if snapshots(got) != 1 || got.MetadataLocation() != location {
		t.Errorf("%d snapshots, at %s, not %s", snapshots(got), got.MetadataLocation(), location)
	}
}

// manyWriters count up one property, each as often as it must: none is lost, and none
// is made twice.
func manyWriters(t *testing.T, s *site) {
	const writers, each = 4, 6
	s.made(t, "reports")
	var wg sync.WaitGroup
	for i := range writers {
		c := []lake.Catalog{s.first, s.second, s.Open(t), s.Open(t)}[i]
		wg.Go(func() {
			for range each {
				if err := increment(t.Context(), c, s.ident("reports")); err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	got := load(t, s.first, s.ident("reports"))
	wantProperty(t, got, "count", strconv.Itoa(writers*each))
	if n := snapshots(got); n != writers*each {
		t.Errorf("%d snapshots", n)
	}
}

func increment(ctx context.Context, c lake.Catalog, ident table.Identifier) error {
	for range 500 {
		tbl, err := c.LoadTable(ctx, ident)
		if err != nil {
			return err
		}
		n := tbl.Properties().GetInt("count", 0)
		_, err = snapshot(ctx, tbl, iceberg.Properties{"count": strconv.Itoa(n + 1)})
		if !lake.IsStaleCommit(err) {
			return err
		}
	}
	return errors.New("other commits came first 500 times")
}

// twoTables of one namespace do not meet.
func twoTables(t *testing.T, s *site) {
	mustSnapshot(t, s.made(t, "reports"), iceberg.Properties{"mine": "reports"})
	mustSnapshot(t, s.made(t, "people"), iceberg.Properties{"mine": "people"})
	wantProperty(t, load(t, s.second, s.ident("reports")), "mine", "reports")
	wantProperty(t, load(t, s.second, s.ident("people")), "mine", "people")
}
