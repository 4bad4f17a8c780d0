package glue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/glue/gluetest"
)

// told gives the table as Glue tells it.
func (w *world) told() gluetest.TableInput {
	w.t.Helper()
	in, ok := w.server.Table("p_rms", "reports")
	if !ok {
		w.t.Fatal("Glue has no such table")
	}
	return in
}

func columnsOf(in gluetest.TableInput) string {
	var all []string
	for _, c := range in.StorageDescriptor.Columns {
		all = append(all, fmt.Sprintf("%s %s %s/%s/%s %q", c.Name, c.Type, c.Parameters["iceberg.field.id"], c.Parameters["iceberg.field.optional"], c.Parameters["iceberg.field.current"], c.Comment))
	}
	return strings.Join(all, "\n")
}

// TestWhatGlueTells: the parameters, and columns that follow the schema.
func TestWhatGlueTells(t *testing.T) {
	w := newWorld(t)
	first := w.told()
	if first.TableType != "EXTERNAL_TABLE" || first.Parameters["table_type"] != "ICEBERG" || len(first.Parameters) != 2 ||
		first.StorageDescriptor.Location != w.io.URI("rms/reports") {
		t.Errorf("a new table is told as %+v", first)
	}
	if got, want := columnsOf(first), "id bigint 1/false/true \"\"\nstatus string 2/true/true \"open or closed\""; got != want {
		t.Errorf("its columns are\n%s\nexpected\n%s", got, want)
	}
	tbl, err := w.c.LoadTable(t.Context(), reports)
	if err != nil {
		t.Fatal(err)
	}
	tx := tbl.NewTransaction()
	err = tx.UpdateSchema(true, false).RenameColumn([]string{"status"}, "state").
		AddColumn([]string{"fee"}, iceberg.DecimalTypeOf(20, 2), strings.Repeat("ä", 300), false, nil).
		AddColumn([]string{"born"}, iceberg.PrimitiveTypes.Date, "", false, nil).
		AddColumn([]string{"at"}, iceberg.PrimitiveTypes.TimestampTz, "", false, nil).Commit()
	if err == nil {
		_, err = tx.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	then := w.told()
	want := "id bigint 1/false/true \"\"\nstate string 2/true/true \"open or closed\"\nfee decimal(20,2) 3/true/true \"" + strings.Repeat("ä", 255) + "\"\n" +
		"born date 4/true/true \"\"\nat timestamp 5/true/true \"\"\nstatus string 2/true/false \"open or closed\""
	if got := columnsOf(then); got != want {
		t.Errorf("its columns are\n%s\nexpected\n%s", got, want)
	}
	if then.Parameters["previous_metadata_location"] != first.Parameters["metadata_location"] || then.Parameters["metadata_location"] == first.Parameters["metadata_location"] {
		t.Errorf("its parameters are %v", then.Parameters)
	}
	if n := w.server.Archived("p_rms", "reports"); n != 0 {
		t.Errorf("Glue keeps %d old versions", n)
	}
}

// TestWhatOthersSay of a table in Glue stays, and a change of theirs that comes between
// is not overwritten.
func TestWhatOthersSay(t *testing.T) {
	w := newWorld(t)
	theirs := func() {
		w.server.Change("p_rms", "reports", func(in *gluetest.TableInput) {
			in.Description, in.Owner, in.Retention = "reports of the city", "records", 7
			in.Parameters["classification"] = "restricted"
			in.StorageDescriptor.Columns[0].Comment = "its number"
		})
	}
	w.server.Inject("UpdateTable", gluetest.Fault{Then: theirs})
	if err := w.set("first"); !errors.Is(err, table.ErrCommitFailed) {
		t.Fatalf("a commit over their change gives %v", err)
	}
	if err := w.set("second"); err != nil {
		t.Fatal(err)
	}
	got := w.told()
	if got.Description != "reports of the city" || got.Owner != "records" || got.Retention != 7 ||
		got.Parameters["classification"] != "restricted" || got.StorageDescriptor.Columns[0].Comment != "its number" {
		t.Errorf("the table is told as %+v", got)
	}
	if p := w.properties(); p["second"] != "1" || p["first"] != "" {
		t.Errorf("its properties are %v", p)
	}
}

// TestTablesOfOthers: one that is none of Iceberg is left alone, and what to do is said.
func TestTablesOfOthers(t *testing.T) {
	w := newWorld(t)
	w.server.Change("p_rms", "reports", func(in *gluetest.TableInput) { in.Parameters = map[string]string{"classification": "csv"} })
	if err := w.set("ours"); !errors.Is(err, lake.ErrIncompatible) || !strings.Contains(err.Error(), "none of Iceberg") {
		t.Errorf("a commit to it gives %v", err)
	}
}
