package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The figures of the eight files, counted by hand.
const (
	incidentFiles    = 8
	incidentRows     = 214_868
	incidentNoKey    = 148
	incidentDistinct = 214_624
)

const incidents = `database: mpd
source: {prefix: dms/, schema: mpd}
dms: {header: true, op_column: null, null: ""}
tables:
  - name: incidents
    primary_key: [CCN]
    columns:
      REPORT_DAT: string
      SHIFT: string
      OFFENSE: string
      METHOD: string
      BLOCK: string
      DISTRICT: string
      PSA: string
      WARD: string
      ANC: string
      NEIGHBORHOOD_CLUSTER: string
      BLOCK_GROUP: string
      CENSUS_TRACT: string
      VOTING_PRECINCT: string
      CCN: string not null
      XBLOCK: string
      YBLOCK: string
`

func incidentFile(t *testing.T, ward int) string {
	t.Helper()
	return filepath.Join(sharedDir(t, "data", "crime", "dc", "eshilts_2006_2012"), fmt.Sprintf("ward%d.csv.gz", ward))
}

func incidentKey(ward int) string { return fmt.Sprintf("dms/mpd/incidents/LOAD%08X.csv.gz", ward) }

// incidentTime is when each of the files was written.
var incidentTime = time.Date(2012, 6, 1, 8, 0, 0, 0, time.UTC)

// TestIncidentsWithoutKeysAreRefused: all eight files have rows without a key.
// Each is set aside whole, one after the other, and its report says where.
func TestIncidentsWithoutKeysAreRefused(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "", incidents)
	for ward := 1; ward <= incidentFiles; ward++ {
		s.place(incidentFile(t, ward), incidentKey(ward), incidentTime.Add(time.Duration(ward)*time.Minute))
	}
	for n := 1; n <= incidentFiles; n++ {
		s.up(exitUnsettled)
		if got := len(reports(t, s)); got != n {
			t.Fatalf("after %d of the files %d are refused", n, got)
		}
		s.must(0, "resume", "mpd.incidents", "--skip", "--reason", "rows without a key")
	}
	s.up(0)
	checkReports(t, reports(t, s))
}

// report is the part of a quarantine report that the test reads.
type report struct {
	Key        string `json:"key"`
	Row        int64  `json:"row"`
	Column     string `json:"column"`
	RowsFailed int64  `json:"rows_failed"`
	Copy       string `json:"copy"`
}

// reports reads the reports in the failed bucket.
func reports(t *testing.T, s *system) []report {
	t.Helper()
	var list []report
	failed := filepath.Join(s.dir, "failed")
	err := filepath.WalkDir(failed, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "report.json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(b, &r); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(failed, filepath.FromSlash(r.Copy))); err != nil {
			t.Errorf("the copy of %s: %v", r.Key, err)
		}
		list = append(list, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func checkReports(t *testing.T, list []report) {
	t.Helper()
	var failed int64
	seen := map[string]bool{}
	for _, r := range list {
		seen[r.Key] = true
		failed += r.RowsFailed
		if r.Column != "CCN" {
			t.Errorf("%s: the report names column %q", r.Key, r.Column)
		}
		for ward := 1; ward <= incidentFiles; ward++ {
			if r.Key != incidentKey(ward) {
				continue
			}
			if want := firstWithoutKey(readRecords(t, incidentFile(t, ward))); r.Row != want {
				t.Errorf("%s: the report names row %d, expected %d", r.Key, r.Row, want)
			}
		}
	}
	if len(seen) != incidentFiles || failed != incidentNoKey {
		t.Errorf("the reports name %d rows in %d files, expected %d in %d", failed, len(seen), incidentNoKey, incidentFiles)
	}
}

// firstWithoutKey gives the number of the first record without a key; the header
// is record 1.
func firstWithoutKey(records [][]string) int64 {
	key := slices.Index(records[0], "CCN")
	return int64(1 + slices.IndexFunc(records, func(r []string) bool { return r[key] == "" }))
}

// TestIncidents takes in the rows that have a key: of a repeated key the last
// file and row stays.
func TestIncidents(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "", incidents)
	last := map[string][]string{}
	var header []string
	rows := 0
	for ward := 1; ward <= incidentFiles; ward++ {
		records := readRecords(t, incidentFile(t, ward))
		header = records[0]
		key := slices.Index(header, "CCN")
		kept := [][]string{header}
		for _, r := range records[1:] {
			rows++
			if r[key] != "" {
				kept = append(kept, r)
				last[r[key]] = r
			}
		}
		s.write(zipped(t, kept), incidentKey(ward), incidentTime)
	}
	if rows != incidentRows || len(last) != incidentDistinct {
		t.Fatalf("the files hold %d rows and %d keys, expected %d and %d", rows, len(last), incidentRows, incidentDistinct)
	}
	s.up(0)
	want := csvTable{header: header}
	for _, r := range last {
		want.rows = append(want.rows, r)
	}
	got := s.cat("mpd.incidents", "")
	equalTables(t, "mpd.incidents", got, want)
	if !slices.IsSorted(got.column(t, "CCN")) {
		t.Error("the rows are not sorted by key")
	}
}

func zipped(t *testing.T, records [][]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := csv.NewWriter(z)
	if err := w.WriteAll(records); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
