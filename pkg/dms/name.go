package dms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Format is the encoding of a data file.
type Format string

// The formats that DMS writes.
const (
	FormatCSV     Format = "csv"
	FormatParquet Format = "parquet"
)

// Name is what the name of a data file tells of it.
type Name struct {
	Kind FileKind
	// Time is the time in the name of a change or transaction file, date and time
	// of day divided: "20221023-013830913". It is when DMS wrote the file, not a
	// place in the log. Empty for a load file.
	Time string
	// Number is the number of a load file, which its name holds in hexadecimal.
	Number uint64
	// Segment is the n of SEGMENTn_LOAD…; 0 without one.
	Segment uint64
	// Folder holds the folders between the table and the file, without a slash at
	// the end: a partition of a parallel load, or the date of a change.
	Folder string
	Format Format
}

// Place is where an object lies.
type Place uint8

// The places.
const (
	InTable        Place = iota // in a table's folder: load and change files
	InTransactions              // in the folder of CdcPath: transaction files
	Anywhere                    // in a folder that nobody registered: all kinds
)

// NameRules tell which names count as data files. The zero value is for a
// table's own folder. The folders by date (DatePartitionEnabled) need no rule:
// a change file in any folder below its table's is the table's.
type NameRules struct {
	Place Place
}

// NotData says why an object is no data file.
type NotData struct {
	Reason Reason
	Detail string // one sentence for a person
}

// Reason is a stable code for why an object is no data file.
type Reason string

// The reasons.
const (
	ReasonFolderMarker Reason = "folder_marker" // an empty object that stands for a folder
	ReasonMarker       Reason = "marker"        // _SUCCESS and its like, hidden files
	ReasonDescription  Reason = "description"   // a .dfm file beside a data file
	ReasonControlTable Reason = "control_table" // one of DMS's own awsdms_* tables
	ReasonMisplaced    Reason = "misplaced"     // a data file of a kind that has no place in this folder
	ReasonNotDMS       Reason = "not_dms"       // a name that DMS does not write
)

// ParseName reads the name of an object; rel is its key below the path of its
// table. Just one of name and why is given: why is nil if the object is a data
// file. Names are read exactly as DMS writes them, capitals included.
func ParseName(rel string, rules NameRules) (name Name, why *NotData) {
	if why := notData(rel); why != nil {
		return Name{}, why
	}
	folder, file := "", rel
	if i := strings.LastIndexByte(rel, '/'); i >= 0 {
		folder, file = rel[:i], rel[i+1:]
	}
	name, ok := parseFile(file)
	if !ok {
		return Name{}, &NotData{ReasonNotDMS, "DMS writes no file of this name: expected LOAD00000001.csv, " +
			"20221023-013830913.csv or CDC_TXN-20201117153046033.csv, or with .csv.gz or .parquet"}
	}
	name.Folder = folder
	switch transaction := name.Kind == KindTransaction; {
	case rules.Place == InTable && transaction:
		return Name{}, &NotData{ReasonMisplaced, "a transaction file belongs below the cdc_path, not into the folder of a table"}
	case rules.Place == InTransactions && !transaction:
		return Name{}, &NotData{ReasonMisplaced, "below the cdc_path only transaction files (CDC_TXN-…) are expected"}
	}
	return name, nil
}

// notData tells of objects that lie among the data and never are any.
func notData(rel string) *NotData {
	file := rel[strings.LastIndexByte(rel, '/')+1:]
	if file == "" || strings.HasSuffix(file, "_$folder$") {
		return &NotData{ReasonFolderMarker, "the object stands for a folder"}
	}
	if isControlTable(tableFolder(rel)) || belowControlTable(rel) {
		return &NotData{ReasonControlTable, "the object belongs to a control table of DMS"}
	}
	switch {
	case file[0] == '_' || file[0] == '.':
		return &NotData{ReasonMarker, "the object is a marker, no data"}
	case strings.HasSuffix(file, ".dfm"):
		return &NotData{ReasonDescription, "the object describes a data file"}
	}
	return nil
}

// tableFolder gives the folder of the table that an object lies in, as DMS lays
// them out: the last one, or what stands before the folders of a date. Those
// further up are the user's, who may name them as DMS names its tables.
func tableFolder(rel string) string {
	folders := strings.Split(rel, "/")
	for i := len(folders) - 2; i >= 0; i-- {
		if strings.Trim(folders[i], "0123456789-_") != "" {
			return folders[i]
		}
	}
	return ""
}

// controlNames begin the names of the tables that DMS documents as its own, and of
// those that it keeps changes in.
var controlNames = []string{
	"awsdms_apply_exceptions", "awsdms_cdc_", "awsdms_changes", "awsdms_ddl_audit", "awsdms_full_load_exceptions", "awsdms_heartbeat",
	"awsdms_history", "awsdms_status", "awsdms_suspended_tables", "awsdms_txn_state", "awsdms_validation_failures",
}

// belowControlTable reports whether a folder is named like one of them, also where
// partitions of any name stand below it: no user's folder is called so.
func belowControlTable(rel string) bool {
	folders := strings.Split(strings.ToLower(rel), "/")
	return slices.ContainsFunc(folders[:len(folders)-1], func(folder string) bool {
		return slices.ContainsFunc(controlNames, func(name string) bool { return strings.HasPrefix(folder, name) })
	})
}

// parseFile reads the last part of a key.
func parseFile(file string) (Name, bool) {
	stem, suffix, _ := strings.Cut(file, ".")
	var name Name
	switch suffix {
	case "csv", "csv.gz":
		name.Format = FormatCSV
	case "parquet":
		name.Format = FormatParquet
	default:
		return Name{}, false
	}
	if digits, ok := strings.CutPrefix(stem, "CDC_TXN-"); ok {
		if len(digits) < 8 || name.Format != FormatCSV {
			return Name{}, false
		}
		name.Kind, name.Time = KindTransaction, digits[:8]+"-"+digits[8:]
		return name, ValidTime(name.Time)
	}
	if ValidTime(stem) {
		name.Kind, name.Time = KindChange, stem
		return name, true
	}
	name.Kind = KindLoad
	if rest, ok := strings.CutPrefix(stem, "SEGMENT"); ok {
		digits, load, _ := strings.Cut(rest, "_")
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			return Name{}, false
		}
		name.Segment, stem = n, load
	}
	digits, ok := strings.CutPrefix(stem, "LOAD")
	if !ok || digits == "" {
		return Name{}, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return Name{}, false
	}
	name.Number = n
	return name, true
}

// ValidTime reports whether s is a time as the names of change files hold it:
// date, hyphen, time of day, and three or four digits of a fraction.
func ValidTime(s string) bool {
	if len(s) != 18 && len(s) != 19 || s[8] != '-' {
		return false
	}
	for i := range len(s) {
		if i != 8 && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	_, err := time.Parse("20060102-150405", s[:15])
	return err == nil
}

// CompareTimes orders times of names: negative if a is earlier than b. The
// tenth digit of the time of day counts as 0 where it is not written.
func CompareTimes(a, b string) int {
	return strings.Compare(timeDigits(a), timeDigits(b))
}

// timeDigits gives the 18 digits of a time in a name.
func timeDigits(t string) string {
	date, clock, _ := strings.Cut(t, "-")
	if len(clock) < 10 {
		clock += strings.Repeat("0", 10-len(clock))
	}
	return date + clock
}

// appendOrder appends the name's part of a FileOrder. Load files come first; no
// part is the beginning of another.
func (n Name) appendOrder(b []byte) []byte {
	if n.Kind != KindLoad {
		b = append(b, 'T')
		return append(b, timeDigits(n.Time)...)
	}
	b = fmt.Appendf(b, "L%016x%016x", n.Number, n.Segment)
	for i := range len(n.Folder) {
		c := n.Folder[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b = append(b, c)
		} else {
			b = fmt.Appendf(b, "=%02X", c)
		}
	}
	return b
}
