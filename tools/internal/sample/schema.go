package sample

import (
	"fmt"
	"strings"
)

// schema is one table of the records system, and how DMS is set up for it.
type schema struct {
	name    string
	share   float64 // of all load rows
	key     []string
	columns []column

	loads    int  // load files; of each segment
	segments int  // 0: the load is not divided
	gzip     bool // the load files
	changes  int  // change files before the second wave
	settings settings

	shuffled  bool // rows of a change file do not stand in order
	rewritten bool // the last changes are written again in a new file, as after a resume
	again     bool // a change file and a load file are delivered twice
	late      bool // one of the change files comes in the second wave
	broken    bool // gets the broken file
	reloaded  bool // is loaded a second time
}

// settings are the DMS settings of a table, where they differ from the drop's.
type settings struct {
	header       bool
	null         string // the token of null
	opInLoad     bool
	noTimestamp  bool
	noSequence   bool
	beforeImages bool // key changes come with the old key
}

// column is one column of a table.
type column struct {
	name string
	sql  string // the type as the registration has it
	// fixed: the value never changes while the row lives.
	fixed bool
	make  makes
}

func fixed(name, sql string, m makes) column  { return column{name, sql, true, m} }
func varies(name, sql string, m makes) column { return column{name, sql, false, m} }

// The bookkeeping columns.
const (
	opColumn     = "Op"
	timeColumn   = "dms_commit_ts"
	seqColumn    = "dms_change_seq"
	beforePrefix = "before_"
)

func (s *schema) isKey(name string) bool {
	for _, k := range s.key {
		if k == name {
			return true
		}
	}
	return false
}

// layout gives the columns of a file in order.
func (s *schema) layout(load bool) []string {
	var names []string
	if !load || s.settings.opInLoad {
		names = append(names, opColumn)
	}
	if !s.settings.noTimestamp {
		names = append(names, timeColumn)
	}
	for _, c := range s.columns {
		names = append(names, c.name)
	}
	if !s.settings.noSequence {
		names = append(names, seqColumn)
	}
	if !load && s.settings.beforeImages {
		for _, k := range s.key {
			names = append(names, beforePrefix+k)
		}
	}
	return names
}

// database is the name of the records system, its schema and its database.
const database = "rms"

// registration gives the registration file of the tables.
func registration(tables []schema) string {
	var b strings.Builder
	b.WriteString(`database: ` + database + `
source: {prefix: dms/, schema: ` + database + `, task: "arn:aws:dms:us-east-1:111122223333:task:RMSDEMO"}
dms:
  format: csv
  header: false
  delimiter: ","
  null: ""
  op_column: ` + opColumn + `
  op_in_full_load: false
  timestamp_column: ` + timeColumn + `
  change_seq_column: ` + seqColumn + `
  before_image_prefix: null
load: {quiet_period: 10m}
on_bad_row: fail
tables:
`)
	for _, s := range tables {
		fmt.Fprintf(&b, "  - name: %s\n    flag: L\n    primary_key: [%s]\n", s.name, strings.Join(s.key, ", "))
		if o := s.settings.yaml(); o != "" {
			fmt.Fprintf(&b, "    dms: {%s}\n", o)
		}
		b.WriteString("    columns:\n")
		for _, c := range s.columns {
			fmt.Fprintf(&b, "      %s: %s\n", c.name, c.sql)
		}
		if s.settings.beforeImages {
			fmt.Fprintf(&b, "    layouts:\n      - {kind: load, columns: [%s]}\n      - {kind: cdc, columns: [%s]}\n",
				strings.Join(s.layout(true), ", "), strings.Join(s.layout(false), ", "))
		}
	}
	return b.String()
}

// yaml gives what differs from the drop's settings.
func (s settings) yaml() string {
	var parts []string
	add := func(is bool, text string) {
		if is {
			parts = append(parts, text)
		}
	}
	add(s.header, "header: true")
	add(s.null != "", fmt.Sprintf("null: %q", s.null))
	add(s.opInLoad, "op_in_full_load: true")
	add(s.noTimestamp, "timestamp_column: null")
	add(s.noSequence, "change_seq_column: null")
	add(s.beforeImages, "before_image_prefix: "+beforePrefix)
	return strings.Join(parts, ", ")
}
