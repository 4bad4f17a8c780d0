package dms

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
)

// messy are texts as exports, spreadsheets and broken programs leave them.
func messy() [][]byte {
	var wide []byte // UTF-16 with its mark, little-endian
	for _, r := range utf16.Encode([]rune("\ufeffid;name\r\n1;Müller\r\n")) {
		wide = append(wide, byte(r), byte(r>>8))
	}
	texts := []string{
		"", "\n", "\r", "\"", "\"\"\"\"", "\"\n\"\n\"", "\r\n\r\n", ",", ",\n,",
		"a,b\nc,d\n", "a,\"b\r\nc\"\r\n", "\"a\"\"b\",c\n", "\"a\"b\n", "a\"b\n", "\"a", "a,b\r", "\"a\"\r", " \"a\"\n", "a\rb\n",
		"\ufeffid,name\n1,x\n", "\ufeff\"id\",name\n", "\ufeff", "a,\ufeffb\n", "a,\xff\n", "Stra\xdfe,M\xfcnchen\n", string(wide),
		"a,b,c\n1,2\n1,2,3,4\n\n1\n",                               // ragged
		"Report of 2024,,,\n,,,\nid,date,text,\n1,2024-01-01,x,\n", // a padded head
		"id\tname\n1\t\"a\tb\"\n", "id;name\n1;a,b\n", "id|name\n1|\"|\"\n",
		"id,text\r\n1,a\n2,b\r\n", "x,\"\",\n,,\n", "a\n\n\nb\n", // mixed ends, empty lines
		"1,\"{\"\"type\"\": \"\"Point\"\", \"\"at\"\": [1, 2]}\"\n", // JSON in a field
		"é,\"日\n本\"\n", "'a','b'\n", "a,\"b\" ,c\n", "a\x00b,c\n", // other quotes, NUL
		strings.Repeat("x", 300) + "," + strings.Repeat("\"y\"\"\"", 5), // long
		strings.Repeat(",", 300) + "\n" + strings.Repeat("\"\",", 300),
	}
	list := make([][]byte, len(texts))
	for i, s := range texts {
		list[i] = []byte(s)
	}
	return list
}

// FuzzCSVReader: whatever comes and however it is read, byte by byte or at once,
// the same comes out; what encoding/csv reads too, it reads alike (but for CRLF
// in quotes, which it turns into LF), and it refuses nothing else than text that
// is not UTF-8 or too large. Memory stays within what CSVOptions states.
func FuzzCSVReader(f *testing.F) {
	for i, text := range messy() {
		f.Add(text, ",;\t|"[i%4], i%2 == 0, uint16(0))
		f.Add(text, byte(','), false, uint16(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, delimiter byte, emptyLines bool, maxField uint16) {
		if strings.ContainsRune("\"\r\n\x00", rune(delimiter)) || delimiter >= 0x80 {
			delimiter = ','
		}
		opt := CSVOptions{Delimiter: delimiter, EmptyLines: emptyLines, MaxField: int(maxField)}
		whole, wholeErr := readAll(bytes.NewReader(data), opt)
		slow, slowErr := readAll(iotest.OneByteReader(bytes.NewReader(data)), opt)
		if !reflect.DeepEqual(whole, slow) || !reflect.DeepEqual(wholeErr, slowErr) {
			t.Fatalf("whole %q %v, byte by byte %q %v", whole, wholeErr, slow, slowErr)
		}
		got, err := readBounded(t, data, opt)
		if (err == nil) != (wholeErr == nil) {
			t.Fatalf("%v, then %v", wholeErr, err)
		}
		if emptyLines {
			plain := opt
			plain.EmptyLines = false
			without, plainErr := readBounded(t, data, plain)
			got = slices.DeleteFunc(got, func(row []string) bool { return len(row) == 1 && row[0] == "" })
			without = slices.DeleteFunc(without, func(row []string) bool { return len(row) == 1 && row[0] == "" }) // quoted
			if (err == nil) != (plainErr == nil) || !slices.EqualFunc(got, without, slices.Equal) {
				t.Fatalf("read %q with empty lines as %q (%v), without as %q (%v)", data, got, err, without, plainErr)
			}
			return
		}
		compareCSV(t, data, opt, got, err)
	})
}

// compareCSV holds what was read against encoding/csv.
func compareCSV(t *testing.T, data []byte, opt CSVOptions, got [][]string, err error) {
	ref := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	ref.FieldsPerRecord, ref.Comma = -1, rune(opt.Delimiter)
	want, refErr := ref.ReadAll()
	if err != nil {
		e, ok := AsCSVError(err)
		if !ok || refErr == nil && !slices.Contains([]CSVCode{CSVNotUTF8, CSVFieldSize, CSVRecordSize}, e.Code) {
			t.Fatalf("refused %q: %v; encoding/csv reads %q", data, err, want)
		}
		if e.Offset < 0 || e.Offset > int64(len(data)) || e.Row < 1 || strings.Contains(e.Error(), "%!") {
			t.Fatalf("%q: the fault %v has no place in it", data, e)
		}
		return
	}
	if refErr != nil {
		t.Fatalf("read %q as %q; encoding/csv: %v", data, got, refErr)
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Fatalf("read %q as %q; encoding/csv as %q", data, got, want)
	}
}

// readBounded reads text as encoding/csv shows it, and watches what is held.
func readBounded(t *testing.T, data []byte, opt CSVOptions) ([][]string, error) {
	c := NewCSVReader(bytes.NewReader(data), opt)
	var out [][]string
	for {
		rec, err := c.Read()
		if limit := max(c.maxRecord, 16); len(c.buf) > limit || cap(c.fields) > 2*maxFields || cap(c.spans) > 2*maxFields {
			t.Fatalf("the reader holds %d bytes, %d may be a record, and %d and %d fields", len(c.buf), limit, cap(c.fields), cap(c.spans))
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		row := make([]string, rec.Len())
		for i := range row {
			field := rec.Field(i).Text
			if len(field) > c.maxField {
				t.Fatalf("a field of %d bytes, %d are the limit", len(field), c.maxField)
			}
			row[i] = strings.ReplaceAll(string(field), "\r\n", "\n")
		}
		out = append(out, row)
	}
}

// TestCSVFieldsAreBounded: a line of delimiters takes no more memory than it may.
func TestCSVFieldsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name, text string
		fields     int // 0: refused
	}{
		{"as many as may be", strings.Repeat(",", maxFields-1), maxFields},
		{"one more", strings.Repeat(",", maxFields), 0},
		{"quoted, as many as may be", `""` + strings.Repeat(",", maxFields-1), maxFields},
		{"quoted, one more", `""` + strings.Repeat(",", maxFields), 0},
	} {
		rows, err := readBounded(t, []byte(c.text), CSVOptions{})
		e, refused := AsCSVError(err)
		switch {
		case c.fields > 0 && (err != nil || len(rows) != 1 || len(rows[0]) != c.fields):
			t.Errorf("%s: %d rows, %v", c.name, len(rows), err)
		case c.fields == 0 && (!refused || e.Code != CSVRecordSize):
			t.Errorf("%s: %v, expected %s", c.name, err, CSVRecordSize)
		}
	}
}

// The names of data files, as the DMS guide shows them.
var (
	loadPattern   = regexp.MustCompile(`^(?:SEGMENT([0-9]+)_)?LOAD([0-9A-Fa-f]+)\.(csv|csv\.gz|parquet)$`)
	changePattern = regexp.MustCompile(`^([0-9]{8}-[0-9]{9,10})\.(csv|csv\.gz|parquet)$`)
	txnPattern    = regexp.MustCompile(`^CDC_TXN-([0-9]{8})([0-9]{9,10})\.(csv|csv\.gz)$`)
)

// referenceName reads a file's name by these alone; ok is false if it is none.
func referenceName(file string) (n Name, ok bool) {
	format := func(suffix string) {
		n.Format = FormatCSV
		if suffix == "parquet" {
			n.Format = FormatParquet
		}
	}
	if m := loadPattern.FindStringSubmatch(file); m != nil {
		segment, errSegment := strconv.ParseUint("0"+m[1], 10, 64)
		number, errNumber := strconv.ParseUint(m[2], 16, 64)
		n.Kind, n.Segment, n.Number = KindLoad, segment, number
		format(m[3])
		return n, errSegment == nil && errNumber == nil
	}
	if m := txnPattern.FindStringSubmatch(file); m != nil {
		n.Kind, n.Time = KindTransaction, m[1]+"-"+m[2]
		format(m[3])
	} else if m := changePattern.FindStringSubmatch(file); m != nil {
		n.Kind, n.Time = KindChange, m[1]
		format(m[2])
	} else {
		return n, false
	}
	_, err := time.Parse("20060102-150405", n.Time[:15])
	return n, err == nil
}

// FuzzParseName: a name is read as the patterns of the guide read it, or refused
// with a reason; its place in the order is plain text of bounded parts.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{
		"LOAD00000001.csv", "SEGMENT3_LOAD0000000A.csv.gz", "p=1/LOAD1.parquet", "2022/10/23/20221023-013830913.csv", "20141029-1134010000.csv",
		"CDC_TXN-20201117153046033.csv", "awsdms_status/LOAD1.csv", "_SUCCESS", "", "/", "a/", "LOAD.csv", "SEGMENT.csv", "CDC_TXN-.csv", "-.csv", "x\xff/LOAD1.csv",
		"SEGMENT18446744073709551616_LOAD1.csv", "LOADffffffffffffffff.csv", "LOAD10000000000000000.csv", "LOAD+1.csv", "LOAD0x1.csv", "LOAD1_0.csv", "SEGMENT+1_LOAD1.csv",
		"20240230-010203004.csv", "2024-0101-010203004.csv", "20240101-250203004.csv", "CDC_TXN-20240101010203004.parquet", "case notes+2024/50% & ñ/LOAD1.csv", "a//LOAD1.csv", "load1.csv", "LOAD1.CSV",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rel string) {
		folder, file := "", rel
		if i := strings.LastIndexByte(rel, '/'); i >= 0 {
			folder, file = rel[:i], rel[i+1:]
		}
		want, isData := referenceName(file)
		want.Folder = folder
		for _, place := range []Place{InTable, InTransactions, Anywhere} {
			name, why := ParseName(rel, NameRules{Place: place})
			if why != nil {
				if why.Reason == "" || why.Detail == "" || name != (Name{}) {
					t.Fatalf("%q: %+v, %+v", rel, name, why)
				}
				if isData && why.Reason != ReasonMisplaced && why.Reason != ReasonControlTable {
					t.Fatalf("%q is refused: %+v; expected %+v", rel, why, want)
				}
				continue
			}
			if !isData || name != want {
				t.Fatalf("%q: %+v, expected %+v (%v)", rel, name, want, isData)
			}
			if place == InTransactions != (name.Kind == KindTransaction) && place != Anywhere {
				t.Fatalf("%q: %+v", rel, name)
			}
			order := NewFileOrder(name, time.Unix(1, 0), "0123456789abcdef0123456789abcdef")
			if strings.ContainsFunc(string(order), func(r rune) bool { return r <= ' ' || r > '~' }) || strings.Count(string(order), "/") != 2 {
				t.Fatalf("%q: order %q", rel, order)
			}
		}
	})
}
