package transform

import (
	"errors"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
)

func TestRefusals(t *testing.T) {
	header := func(t *registry.Table) { t.DMS.Header = true }
	byTime := func(t *registry.Table) { t.DMS.ChangeSeqColumn = nil }
	asIs := func(*registry.Table) {}
	s1, s2 := seqOf(1), seqOf(2)
	good := "I,x,1,A,1.00," + s1 + "\n"
	tests := []struct {
		name    string
		change  func(*registry.Table)
		key     string
		content string
		code    string
		row     int64
		column  string
		failed  int64
		text    string // somewhere in the report, in any case
	}{
		{"op missing", asIs, changeKey, good + ",x,1,A,1.00," + s2, CodeOpMissing, 2, "Op", 1, "missing op"},
		{"op unknown", asIs, changeKey, good + "X,x,1,A,1.00," + s2, CodeOpUnknown, 2, "Op", 1, "i, u or d"},
		{"op in a control byte", asIs, changeKey, "\t,x,1,A,1.00," + s2, CodeOpUnknown, 1, "Op", 1, "i, u or d"},
		{"op column missing", header, changeKey, "ts,id,status,seq\nx,1,A," + s1, CodeColumnMissing, 0, "Op", 0, "missing op"},
		{"delete without key", func(t *registry.Table) { t.PrimaryKey = nil }, changeKey, "D,x,1,A,," + s1, CodeOpNoKey, 1, "Op", 1, "primary key"},
		{"update without key", func(t *registry.Table) { t.PrimaryKey = nil }, changeKey, "u,x,1,A,," + s1, CodeOpNoKey, 1, "Op", 1, "primary key"},
		{"null key", asIs, changeKey, good + "I,x,,A,," + s1 + "\nD,x,,,," + s2 + "\nI,x,2,A,," + s2, CodeKeyNull, 2, "id", 2, "2 rows"},
		{"bad key of a delete", asIs, changeKey, "D,x,one,,," + s1, CodeInteger, 1, "id", 1, "whole number"},
		{"decimal", asIs, changeKey, good + "I,x,3,A,12345678901.00," + s1, CodeDecimal, 2, "amount", 1, "decimal"},
		{"decimal rounded", asIs, changeKey, "I,x,3,A,1.001," + s1 + "\nI,x,3,A,1.002," + s1, CodeDecimal, 1, "amount", 2, "rounding"},
		{"empty is not null", func(t *registry.Table) { t.DMS.Null = "NULL" }, changeKey, "I,x,3,A,," + s1, CodeDecimal, 1, "amount", 1, "csvnullvalue"},
		{"width", asIs, changeKey, good + "I,x,2,extra,A,1.00," + s2, CodeColumnCount, 2, "", 1, "which is then a file of its own, and skip this one"},
		{"no layout", asIs, changeKey, "I,1,A\n", CodeLayout, 1, "", 0, "column count 3"},
		{"name", asIs, "dms/rms/reports/20240115-070100000.csv", "I,x\n", CodeLayout, 1, "", 0, "column count 2"},
		{"utf", asIs, changeKey, good + "I,x,2,\xff\xfe,1.00," + s2, string(dms.CSVNotUTF8), 2, "status", 0, "a file of its own, and skip this one"},
		{"bad value before bad text", asIs, changeKey, "I,x,one,A,1.00," + s1 + "\nI,x,2,\xff,1.00," + s2, CodeInteger, 1, "id", 0, "whole number"},
		{"unclosed quote", asIs, changeKey, good + `I,x,2,"A,1.00,` + s2, string(dms.CSVUnclosedQuote), 2, "status", 0, "a file of its own, and skip this one"},
		{"sequence short", asIs, changeKey, "I,x,1,A,1.00,123", CodeSequence, 1, "seq", 1, "35 digits"},
		{"sequence null", asIs, changeKey, "I,x,1,A,1.00,", CodeSequence, 1, "seq", 1, "35 digits"},
		{"sequence column missing", header, changeKey, "Op,ts,id\nI,x,1", CodeColumnMissing, 0, "seq", 0, "change sequence"},
		{"timestamp", byTime, changeKey, "I,yesterday,1,A,1.00", CodeCommitTime, 1, "ts", 1, "commit timestamp"},
		{"timestamp column missing", func(t *registry.Table) { header(t); byTime(t) }, changeKey, "Op,id\nI,1", CodeColumnMissing, 0, "ts", 0, "commit timestamp"},
		{"key column missing", header, changeKey, "Op,ts,seq,status\nI,x," + s1 + ",A", CodeColumnMissing, 0, "id", 0, "primary key"},
		{"no name for a column", header, changeKey, "Op,ts,id,seq,\nI,x,1," + s1 + ",3", CodeColumnUnknown, 0, "", 0, "name is missing"},
		{"kept name", header, changeKey, "Op,ts,id,seq,_Blotter_row\nI,x,1," + s1 + ",3", CodeColumnUnknown, 0, "", 0, "column 5 of 5 is not registered: names that begin with _blotter_ are kept for"},
		{"operations that nobody named", func(t *registry.Table) { header(t); t.DMS.OpColumn = nil }, changeKey, "op,ts,id,seq\nD,x,1," + s1, CodeColumnUnknown, 0, "op", 0, "op_column"},
		{"no header where one is registered", func(t *registry.Table) { header(t); t.PrimaryKey, t.DMS.OpColumn = nil, nil }, loadKey, "x,1,Smith,Smith,\nx,2,B,1.00,\n", CodeHeader, 0, "", 0, "none of the 5 columns"},
		{"operations under another name than the registered one", func(t *registry.Table) { header(t); t.DMS.OpColumn = ptr("operation") }, loadKey, "Op,ts,id,seq\nD,x,1,", CodeColumnUnknown, 0, "Op", 0, "op_column says is operation"},
		{"a long name", header, changeKey, "Op,ts,id,seq," + strings.Repeat("ä", 1<<20) + "\nI,x,1," + s1 + ",3", CodeColumnUnknown, 0, "", 0, "longer than 255 bytes"},
		{"misspelt layout", func(t *registry.Table) {
			t.Layouts = []registry.Layout{{Kind: dms.KindChange, Columns: []string{"Op", "ts", "id", "staus", "amount", "seq"}}}
		}, changeKey, good, CodeColumnUnknown, 0, "staus", 0, "not registered"},
		{"a row that holds a known word and others twice", header, changeKey, "I,x,1,status,Smith,Smith\nI,x,2,A,1.00," + s1, CodeColumnMissing, 0, "id", 0, "primary key"},
		{"such a row of a table without a key", func(t *registry.Table) { header(t); t.PrimaryKey, t.DMS.OpColumn = nil, nil }, loadKey, "x,1,status,Smith,Smith\nx,2,A,B,C", CodeHeader, 0, "", 0, "only 1 may be of the table"},
		{"a header that has a name twice", func(t *registry.Table) { header(t); t.PrimaryKey, t.DMS.OpColumn = nil, nil }, loadKey, "id,status,amount,note,note\n1,A,1,B,C", CodeHeader, 0, "", 0, "as column 4 and as column 5 of 5"},
		{"header that is not registered", asIs, changeKey, "op,TS,id,status,amount,seq\n" + good, CodeHeader, 1, "", 0, "set header to true"},
		{"header with other names of what DMS adds", asIs, changeKey, "op,dms_commit_ts,id,status,amount,AR_H_CHANGE_SEQ\n" + good, CodeHeader, 1, "", 0, "set header to true"},
		{"header of texts alone", func(t *registry.Table) { t.PrimaryKey, t.DMS.OpColumn, t.Columns = nil, nil, t.Columns[1:2] }, loadKey, "ts,status,seq\nx,A,\n", CodeHeader, 1, "", 0, "it is a header"},
		{"no bytes, but a header is registered", header, changeKey, "", CodeHeader, 0, "", 0, "not even that of the names"},
		{"gzip of no bytes, but a header is registered", header, changeKey + ".gz", zipped(""), CodeHeader, 0, "", 0, "not even that of the names"},
		{"another delimiter in a header", header, changeKey, "Op;ts;id;status;amount;seq\nI;x;1;A;1.00;" + s1, CodeHeader, 0, "", 0, `divided by ";"`},
		{"another delimiter", asIs, changeKey, "I;x;1;A;1.00;" + s1, CodeLayout, 1, "", 0, "registered delimiter"},
		{"operations under the name that DMS gives", func(t *registry.Table) { header(t); t.DMS.OpColumn = ptr("operation") }, changeKey, "Op,ts,id,status,seq\nI,x,1,A," + s1, CodeColumnMissing, 0, "operation", 0, "among the 5 of the file: op, ts, id, status, seq; is it op?"},
		{"a key that is almost there", header, changeKey, "Op,ts,i_d,status,seq\nI,x,1,A," + s1, CodeColumnMissing, 0, "id", 0, "among the 5 of the file, of which these are known: op, ts, status, seq; is it column 3 of the file?"},
		{"a key that is not there", header, changeKey, "Op,ts,number,status,seq\nI,x,1,A," + s1, CodeColumnMissing, 0, "id", 0, "status, seq; check"},
		{"two columns at fault", asIs, changeKey, good + "I,x,one,A,1.001," + s1 + "\nI,x,2,A,1.001," + s2, CodeInteger, 2, "id", 1, "also value.decimal from row 2 on, column amount (2)"},
		{"column twice", header, changeKey, "Op,ts,id,ID,seq\nI,x,1,1," + s1, CodeHeader, 0, "ID", 0, "twice"},
		{"gzip cut off", asIs, changeKey + ".gz", zipped(good)[:30], CodeGzip, 0, "", 0, "gzip"},
		{"gzip checksum", asIs, changeKey + ".gz", broken(zipped(good)), CodeGzip, 0, "", 0, "gzip"},
		{"gzip damage reads as broken CSV", asIs, changeKey + ".gz", broken(zipped(good + "I,x,2,A\",1.00," + s2)), CodeGzip, 0, "", 0, "gzip"},
		{"gzip damage reads as a broken first row", asIs, changeKey + ".gz", broken(zipped("I,\"x\"y,2\n")), CodeGzip, 0, "", 0, "gzip"},
		{"gzip damage reads as another width", asIs, changeKey + ".gz", broken(zipped("I,1,A\n")), CodeGzip, 0, "", 0, "gzip"},
		{"gzip damage reads as another header", header, changeKey + ".gz", broken(zipped("Op,ts,ib,seq\nI,x,1," + s1)), CodeGzip, 0, "", 0, "gzip"},
		{"gzip damage reads as a bad value", asIs, changeKey + ".gz", broken(zipped("I,x,one,A,1.00," + s1)), CodeGzip, 0, "", 0, "gzip"},
		{"broken CSV in whole gzip", asIs, changeKey + ".gz", zipped(good + "I,x,2,A\",1.00," + s2), string(dms.CSVBareQuote), 2, "status", 0, "quote"},
		{"gzip trailing text", asIs, changeKey + ".gz", zipped(good) + "I,x", CodeGzip, 0, "", 0, "gzip"},
		{"gzip cut in its header", asIs, changeKey + ".gz", zipped(good)[:5], CodeGzip, 0, "", 0, "gzip"},
		{"gzip of no bytes", asIs, changeKey + ".gz", "", CodeGzip, 0, "", 0, "cut off"},
		{"name of another format", asIs, "dms/rms/reports/20240115-070100000.parquet", good, CodeFormat, 0, "", 0, "the name says parquet, csv is registered"},
		{"not gzip", asIs, changeKey + ".gz", good, CodeGzip, 0, "", 0, "gzip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := reports()
			tt.change(&table)
			b := newBench(t, table)
			f := b.refused(b.put(tt.key, tt.content))
			if f.Code != tt.code || f.Row != tt.row || f.Column != tt.column || f.RowsFailed != tt.failed || f.ObjectKey != tt.key {
				t.Errorf("code %s, row %d, column %q, %d rows of %s; want %s, %d, %q, %d", f.Code, f.Row, f.Column, f.RowsFailed, f.ObjectKey,
					tt.code, tt.row, tt.column, tt.failed)
			}
			if f.Expected == "" || f.Hint == "" {
				t.Errorf("%+v does not say what is expected and what to do", f)
			}
			if !strings.Contains(strings.ToLower(f.Error()), tt.text) {
				t.Errorf("%q does not say %q", f, tt.text)
			}
		})
	}
}

// broken turns a bit of the checksum over.
func broken(zip string) string {
	b := []byte(zip)
	b[len(b)-8] ^= 1
	return string(b)
}

func TestRefusesObject(t *testing.T) {
	b := newBench(t, reports())
	f := b.put(changeKey, "I,x,1,A,,"+seqOf(1))
	b.raw.put(changeKey, []byte("another version"))
	if failure := b.refused(f); failure.Code != CodeObjectChanged {
		t.Errorf("changed: %v", failure)
	}
	if err := b.raw.Remove(t.Context(), changeKey); err != nil {
		t.Fatal(err)
	}
	if failure := b.refused(f); failure.Code != CodeObjectGone {
		t.Errorf("gone: %v", failure)
	}
	f.Kind = dms.KindTransaction
	if failure := b.refused(f); failure.Code != CodeKind {
		t.Errorf("transaction: %v", failure)
	}
}

// TestValuesStayOut: a value is kept for the report only where that is asked for,
// and no event holds one.
func TestValuesStayOut(t *testing.T) {
	content := "I,x,1,A,secret," + seqOf(1) + "\nI,x,2,A,secret," + seqOf(2)
	b := newBench(t, reports())
	kept := func(f dms.File) string {
		value, err := FailedValue(t.Context(), b.staging, b.table.ID, f.ID, CodeDecimal, 1, "amount")
		if err != nil {
			t.Fatal(err)
		}
		return string(value)
	}
	file := b.put(changeKey, content)
	if f := b.refused(file); f.Value != "" || kept(file) != "" {
		t.Errorf("a value is kept: %q, %q", f.Value, kept(file))
	}
	b.table.Reports.ShowValues = true
	for range 2 { // a repeated attempt finds it there
		f := b.refused(file)
		if strings.Contains(f.Error(), "secret") || strings.Contains(f.Proto().String(), "secret") {
			t.Errorf("a value stands in %v", f)
		}
		if got := kept(file); got != "secret" {
			t.Errorf("%q is kept for the report", got)
		}
	}
	if value, err := FailedValue(t.Context(), b.staging, b.table.ID, file.ID, CodeDecimal, 2, "amount"); value != nil || err != nil {
		t.Errorf("of another row %q is kept (%v)", value, err)
	}
}

func TestReadFaultIsNoFailure(t *testing.T) {
	b := newBench(t, reports())
	f := b.put(changeKey, "I,x,1,A,,"+seqOf(1))
	cfg := b.cfg
	cfg.FanIn = 1
	if _, err := Run(t.Context(), cfg, Deps{Raw: b.raw, Staging: b.staging}, Job{Table: b.table, File: f, Token: 7}); err == nil || isFailure(err) {
		t.Errorf("a bad configuration gave %v", err)
	}
	if _, err := Run(t.Context(), b.cfg, Deps{Raw: b.raw, Staging: b.staging}, Job{Table: b.table, File: f}); err == nil || isFailure(err) {
		t.Errorf("a job without a token gave %v", err)
	}
	if _, err := ReadManifest(t.Context(), b.staging, "nothing", ""); !errors.Is(err, objects.ErrNotFound) {
		t.Errorf("a missing manifest gave %v", err)
	}
}

func isFailure(err error) bool {
	var f *Failure
	return errors.As(err, &f)
}

func TestManifestRefused(t *testing.T) {
	b := newBench(t, reports())
	r := b.mustRun(b.put(changeKey, "I,x,1,A,,"+seqOf(1)+"\nI,x,2,A,,"+seqOf(1)))
	good := string(b.staging.objects[r.ManifestKey])
	for name, bad := range map[string]string{
		"unknown field":  strings.Replace(good, `"token"`, `"extra": 1, "token"`, 1),
		"trailing":       good + "{}",
		"counts":         strings.Replace(good, `"inserts": 2`, `"inserts": 3`, 1),
		"staged rows":    strings.Replace(good, `"rows": 2`, `"rows": 1`, 1),
		"no hash":        strings.ReplaceAll(good, `"sha256": "`, `"sha256": "x`),
		"no key range":   strings.Replace(good, `"min_key": "8`, `"min_key": "9`, 1),
		"no positions":   strings.Replace(good, `"max_position": "1`, `"max_position": "0`, 1),
		"no registation": strings.Replace(good, `"spec_version": 1`, `"spec_version": 0`, 1),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was changed in %s", name, good)
		}
		b.staging.put("bad", []byte(bad))
		if _, err := ReadManifest(t.Context(), b.staging, "bad", ""); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadManifest(t.Context(), b.staging, r.ManifestKey, strings.Repeat("0", 64)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another hash: %v", err)
	}
	staged := r.Manifest.Rows[0]
	content := b.staging.objects[staged.Key]
	b.staging.put(staged.Key, append(content[:len(content)-1:len(content)-1], 'x'))
	if err := VerifySHA256(t.Context(), b.staging, staged); !errors.Is(err, ErrCorrupt) {
		t.Errorf("other bytes: %v", err)
	}
	if _, err := OpenStaged(t.Context(), b.staging, staged); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a broken file: %v", err)
	}
	staged.Rows++
	b.staging.put(staged.Key, content)
	if _, err := OpenStaged(t.Context(), b.staging, staged); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another row count: %v", err)
	}
}
