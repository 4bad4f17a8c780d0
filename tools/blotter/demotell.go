package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/openblotter/blotter/pkg/lake/sqlite"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/sample"
)

// waveStories say what comes in each wave.
var waveStories = []string{
	"full loads and changes, in no order",
	"late files, files delivered twice, one table loaded again",
	"a file that cannot be read, and one of a replaced generation",
	"a file that has to wait behind the one that cannot be read",
}

// introduce says what the drop is.
func (d *demonstration) introduce() {
	rows := int64(0)
	for _, f := range d.drop.Files {
		rows += f.Rows
	}
	fmt.Fprintf(d.out, "The drop of a made-up records system: %d tables, %d deliveries of files, %d rows.\n\n",
		len(d.drop.Tables), len(d.drop.Files), rows)
}

// told tells of a wave that is worked off.
func (d *demonstration) told(wave, files int, took time.Duration) {
	story := ""
	if wave <= len(waveStories) {
		story = waveStories[wave-1]
	}
	fmt.Fprintf(d.out, "  wave %d: %8s in %4.1fs  %s\n", wave, count(files, "file"), took.Seconds(), story)
}

// printTables shows what became of each table.
func (d *demonstration) printTables(f *found) {
	fmt.Fprintln(d.out)
	w := newTableWriter(d.out, 2, 3, 4, 5, 6, 7)
	w.AppendHeader(table.Row{"table", "files", "twice", "rows in", "repeated", "merged", "rows now", "as generated"})
	var total foundTable
	for _, t := range f.tables {
		verdict := "yes, row by row"
		switch {
		case len(t.faults) > 0:
			verdict = "NO"
		case t.ID == f.table:
			verdict = "yes; paused"
		}
		merged := t.counted.RowsIn - t.repeated - t.counted.Rows
		w.AppendRow(table.Row{t.ID, t.counted.Published, t.twice, t.counted.RowsIn, t.repeated, merged, t.counted.Rows, verdict})
		total.counted.Published += t.counted.Published
		total.twice += t.twice
		total.counted.RowsIn += t.counted.RowsIn
		total.repeated += t.repeated
		total.counted.Rows += t.counted.Rows
	}
	w.AppendFooter(table.Row{
		fmt.Sprintf("%d tables in %.1fs", len(f.tables), time.Since(d.started).Seconds()), total.counted.Published, total.twice,
		total.counted.RowsIn, total.repeated, total.counted.RowsIn - total.repeated - total.counted.Rows, total.counted.Rows,
	})
	w.Render()
	fmt.Fprint(d.out, `  twice     files delivered again, taken once
  repeated  rows that a later row of the same key in the same file replaced
  merged    rows that were updates or deletes, repeated what another file held,
            or belonged to a load that a later one replaced
`)
}

// printQuarantine tells of the file that was set aside.
func (d *demonstration) printQuarantine(f *found) {
	if f.quarantined == nil {
		return
	}
	why, waiting := "", 0
	for _, file := range d.drop.Files {
		if file.Expect == sample.Quarantined {
			why = file.Why
		}
	}
	for _, t := range f.tables {
		waiting += t.waiting
	}
	fmt.Fprintf(d.out, "\nOne file cannot be read (%s). It was set aside whole and its table\npaused, with %s waiting behind it; the other %d tables went on.\n",
		why, count(waiting, "file"), len(f.tables)-1)
	fmt.Fprintf(d.out, "  %-10s %s\n", "file", f.quarantined.Object.Key)
	printFailure(d.out, f.quarantined.Failure)
	folder, report := path.Split(f.reportKey)
	fmt.Fprintf(d.out, "  %-10s %s and %s, in\n  %-10s %s\n", "set aside", path.Base(f.copyKey), report, "",
		filepath.Join(d.dir, roles.FailedDir, filepath.FromSlash(folder)))
	fmt.Fprintf(d.out, `
Let the table go on without it, then take what waits:
  %[1]s resume %[2]s --skip%[3]s
  %[1]s up --until-idle%[3]s
`, program(), f.table, inDir(d.dir).flags())
}

// printWays tells how to look at the tables and at what happened.
func (d *demonstration) printWays() error {
	abs, err := filepath.Abs(d.dir)
	if err != nil {
		return fmt.Errorf("find the folder of the demo: %w", err)
	}
	catalog, warehouse := filepath.Join(abs, roles.CatalogFile), filepath.Join(abs, roles.CuratedDir)
	example := d.drop.Tables[0].ID
	paused := example
	for _, f := range d.drop.Files {
		if f.Expect == sample.Quarantined {
			paused = f.Table
		}
	}
	fmt.Fprintf(d.out, `
Look around:
  %[1]s tables%[2]s
  %[1]s table show %[4]s%[2]s
  %[1]s log %[4]s%[2]s
  %[1]s cat %[3]s --provenance%[2]s | head

The tables are Iceberg tables in %[5]s; the folder cannot be moved.
Read them with pyiceberg (python):
  from pyiceberg.catalog.sql import SqlCatalog
  lake = SqlCatalog("%[7]s", uri="sqlite:///%[6]s",
                    warehouse="file://%[5]s")
  lake.load_table("%[3]s").scan().to_arrow()
or with Spark 3.5:
  spark-sql --packages \
    %[8]s \
    --conf spark.sql.catalog.%[7]s=org.apache.iceberg.spark.SparkCatalog \
    --conf spark.sql.catalog.%[7]s.type=jdbc \
    --conf spark.sql.catalog.%[7]s.uri=jdbc:sqlite:%[6]s \
    --conf spark.sql.catalog.%[7]s.warehouse=%[5]s \
    -e 'SELECT * FROM %[7]s.%[3]s LIMIT 10'

Every event stands in a NATS JetStream stream, which the nats CLI reads while a system runs:
  %[1]s up --port 4222%[2]s
  nats --server nats://127.0.0.1:4222 sub --stream BLOTTER --all --translate "%[1]s decode"
`, program(), inDir(d.dir).flags(), example, paused, warehouse, catalog, sqlite.CatalogName, sparkPackages)
	return nil
}

// sparkPackages are what Spark 3.5 needs to read the tables; both are the
// versions that this repository's checks read them with.
const sparkPackages = "org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.1,org.xerial:sqlite-jdbc:3.53.1.0"

// program is how this program was called, for commands that a person copies.
func program() string {
	if strings.Contains(os.Args[0], string(filepath.Separator)+"go-build") {
		return "go run ./tools/blotter"
	}
	if strings.ContainsRune(os.Args[0], filepath.Separator) && !strings.HasSuffix(os.Args[0], ".test") {
		return os.Args[0]
	}
	return "blotter"
}
