package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// vintages are the tables that were made of several days' extracts of real
// incidents.
var vintages = []string{"all_assaults", "all_burglaries"}

// vintageFiles are the files of each, with the times at which DMS would have
// written them.
var vintageFiles = []struct {
	name     string
	modified time.Time
}{
	{"LOAD00000001.csv.gz", time.Date(2025, 8, 20, 12, 0, 30, 0, time.UTC)},
	{"20250821-110413000.csv.gz", time.Date(2025, 8, 21, 11, 4, 13, 0, time.UTC)},
	{"20250825-090255000.csv.gz", time.Date(2025, 8, 25, 9, 2, 55, 0, time.UTC)},
}

// vintageRegistration makes the registration from what stands beside the files:
// all columns but the key as strings.
func vintageRegistration(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`database: mpd
source: {prefix: "", schema: mpd}
dms:
  op_column: Op
  op_in_full_load: true
  timestamp_column: dms_commit_ts
  change_seq_column: dms_change_seq
  null: ""
tables:
`)
	for _, name := range vintages {
		raw, err := os.ReadFile(filepath.Join(dir, "mpd", name, "table.json"))
		if err != nil {
			t.Fatal(err)
		}
		var meta struct {
			Layout []string
		}
		if err := json.Unmarshal(raw, &meta); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - name: %s\n    primary_key: [CCN]\n    columns:\n", name)
		for _, column := range meta.Layout {
			switch column {
			case "Op", "dms_commit_ts", "dms_change_seq":
			case "CCN":
				b.WriteString("      \"CCN\": int not null\n")
			default:
				fmt.Fprintf(&b, "      %q: string\n", column)
			}
		}
	}
	return b.String()
}

func checkVintages(t *testing.T, s *system, dir string) {
	t.Helper()
	for _, name := range vintages {
		records := readRecords(t, filepath.Join(dir, "mpd", name, "expected_final.csv.gz"))
		got := s.cat("mpd."+name, "")
		equalTables(t, name, got, csvTable{records[0], records[1:]})
		keys := got.column(t, "CCN")
		if !slices.IsSortedFunc(keys, func(a, b string) int { return number(t, a) - number(t, b) }) {
			t.Errorf("%s: the rows are not sorted by key", name)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestVintagesAsTheyLie reads the folder as it is, with the files in it that
// DMS never wrote.
func TestVintagesAsTheyLie(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "data", "crime", "dc", "derived_dms_from_vintages")
	s := newSystem(t, dir, vintageRegistration(t, dir))
	s.up(0)
	checkVintages(t, s, dir)
	s.up(0) // all is known: nothing is done twice
	checkVintages(t, s, dir)
}

// TestVintagesInEveryOrder has the three files of each table come one after
// another, in all orders.
func TestVintagesInEveryOrder(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "data", "crime", "dc", "derived_dms_from_vintages")
	registration := vintageRegistration(t, dir)
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, "", registration)
			for _, n := range order {
				f := vintageFiles[n]
				for _, name := range vintages {
					key := "mpd/" + name + "/" + f.name
					s.place(filepath.Join(dir, filepath.FromSlash(key)), key, f.modified)
				}
				s.up(0)
			}
			checkVintages(t, s, dir)
		})
	}
}
