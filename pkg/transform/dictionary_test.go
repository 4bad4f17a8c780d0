package transform

import (
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// TestDictionaryOutgrown: a column that looks constant in the first batch and
// then is not goes on without its dictionary, and keeps its values.
func TestDictionaryOutgrown(t *testing.T) {
	table := registry.Table{
		ID: dms.TableID{DB: "rms", Table: "grows"}, Version: 1, PrimaryKey: []string{"id"},
		DMS:        registry.Settings{Format: registry.FormatCSV, Delimiter: ","},
		Columns:    []registry.Column{column(1, "id", "int"), column(2, "grows", "string"), column(3, "few", "string")},
		Provenance: registry.Provenance{File: 4, Row: 5, Position: 6, Next: 7},
	}
	var content strings.Builder
	var want []string
	for i := range 150_000 {
		grows := "same"
		if i > 2*encodeRows {
			grows = fmt.Sprintf("value number %d", i)
		}
		fmt.Fprintf(&content, "%d,%s,f%d\n", i, grows, i%3)
		want = append(want, fmt.Sprintf("%d|%s|f%d|#%d", i, grows, i%3, i+1))
	}
	b := newBench(t, table)
	r := b.mustRun(b.put(loadKey, content.String()))
	compareLines(t, b.stagedRows(r.Manifest.Rows), want)

	staged, err := OpenStaged(t.Context(), b.staging, r.Manifest.Rows[0])
	if err != nil {
		t.Fatal(err)
	}
	chunks := staged.File().Metadata().RowGroups[0].Columns
	for i, want := range []string{"PLAIN", "PLAIN RLE_DICTIONARY", "PLAIN RLE_DICTIONARY", "PLAIN RLE_DICTIONARY", "PLAIN", "PLAIN RLE_DICTIONARY"} {
		if got := encodings(chunks[i]); got != want {
			t.Errorf("column %d is encoded as %s, want %s", i, got, want)
		}
	}
	if pages := dataPages(t, staged.File().RowGroups()[0].ColumnChunks()[1]); pages["dictionary"] == 0 || pages["plain"] == 0 {
		t.Errorf("the outgrown column has pages %v", pages)
	}
	if err := staged.Close(); err != nil {
		t.Error(err)
	}
}

func encodings(c format.ColumnChunk) string {
	var names []string
	for _, e := range c.MetaData.Encoding {
		if e != format.RLE {
			names = append(names, e.String())
		}
	}
	return strings.Join(names, " ")
}

func dataPages(t *testing.T, chunk parquet.ColumnChunk) map[string]int {
	t.Helper()
	count := map[string]int{}
	pages := chunk.Pages()
	for {
		page, err := pages.ReadPage()
		if err != nil {
			break
		}
		if page.Dictionary() != nil {
			count["dictionary"]++
		} else {
			count["plain"]++
		}
		parquet.Release(page)
	}
	if err := pages.Close(); err != nil {
		t.Error(err)
	}
	return count
}
