package e2e

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/tools/internal/cases"
)

// table is a CSV file in memory: the header, then the rows.
type csvTable struct {
	header []string
	rows   [][]string
}

func parseCSV(t *testing.T, r io.Reader) csvTable {
	t.Helper()
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatalf("read CSV: %v", err)
	}
	if len(records) == 0 {
		t.Fatal("read CSV: there is no header")
	}
	return csvTable{records[0], records[1:]}
}

// readRecords reads a CSV file, perhaps compressed, without taking its first
// line for a header.
func readRecords(t *testing.T, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
	}
	records, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return records
}

// column gives the values of one column.
func (c csvTable) column(t *testing.T, name string) []string {
	t.Helper()
	at := slices.Index(c.header, name)
	if at < 0 {
		t.Fatalf("no column %s among %v", name, c.header)
	}
	values := make([]string, len(c.rows))
	for i, row := range c.rows {
		values[i] = row[at]
	}
	return values
}

// sorted gives the rows in the order of their fields.
func (c csvTable) sorted() [][]string {
	rows := slices.Clone(c.rows)
	slices.SortFunc(rows, slices.Compare)
	return rows
}

// equalTables compares two tables as sets of rows, field by field.
func equalTables(t *testing.T, name string, got, want csvTable) {
	t.Helper()
	if !slices.Equal(got.header, want.header) {
		t.Fatalf("%s: columns %v, expected %v", name, got.header, want.header)
	}
	if len(got.rows) != len(want.rows) {
		t.Errorf("%s: %d rows, expected %d", name, len(got.rows), len(want.rows))
	}
	g, w := got.sorted(), want.sorted()
	for i := range min(len(g), len(w)) {
		if !slices.Equal(g[i], w[i]) {
			t.Fatalf("%s: row %q, expected %q", name, g[i], w[i])
		}
	}
}

// cat reads a table back through the binary; null shows as the text given.
func (s *system) cat(table, null string) csvTable {
	s.t.Helper()
	return parseCSV(s.t, strings.NewReader(s.must(0, "cat", table, "--null", null)))
}

// equalExpected compares a table with expected rows in the form of the cases.
func (s *system) equalExpected(spec registry.Table, want io.Reader) {
	s.t.Helper()
	wantRows, err := cases.ReadCSV(want)
	if err != nil {
		s.t.Fatal(err)
	}
	gotRows, err := cases.ReadCSV(strings.NewReader(s.must(0, "cat", spec.ID.String())))
	if err != nil {
		s.t.Fatal(err)
	}
	diff, err := cases.Compare(cases.Spec{PrimaryKey: spec.PrimaryKey, Columns: spec.Columns}, wantRows, gotRows)
	if err != nil {
		s.t.Fatal(err)
	}
	if !diff.Empty() {
		s.t.Errorf("%s: %s", spec.ID, diff)
	}
}

// parseOne parses a registration and gives the table named.
func parseOne(t *testing.T, registration, table string) registry.Table {
	t.Helper()
	specs, err := registry.Parse([]byte(registration), "tables.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		if spec.ID.String() == table {
			return spec
		}
	}
	t.Fatalf("no table %s is registered", table)
	return registry.Table{}
}
