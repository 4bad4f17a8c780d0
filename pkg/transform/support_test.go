package transform

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

func ptr[T any](v T) *T { return &v }

func column(id int, name, typ string) registry.Column {
	t, err := registry.ParseType(typ)
	if err != nil {
		panic(err)
	}
	return registry.Column{ID: id, Name: name, Type: t}
}

// reports is a table with a key, ordered by change sequence.
func reports() registry.Table {
	return registry.Table{
		ID: dms.TableID{DB: "rms", Table: "reports"}, Version: 1,
		DMS: registry.Settings{Format: registry.FormatCSV, Delimiter: ",", OpColumn: ptr("Op"),
			TimestampColumn: ptr("ts"), ChangeSeqColumn: ptr("seq")},
		PrimaryKey: []string{"id"},
		Columns:    []registry.Column{column(1, "id", "bigint"), column(2, "status", "string"), column(3, "amount", "decimal(10,2)")},
		Provenance: registry.Provenance{File: 4, Row: 5, Position: 6, Next: 7},
	}
}

// seqOf makes a change sequence of a small number.
func seqOf(n int) string { return fmt.Sprintf("%035d", n) }

const (
	changeKey = "dms/rms/reports/20240115-070100000.csv"
	loadKey   = "dms/rms/reports/LOAD00000001.csv"
)

// bench runs jobs between two buckets in memory.
type bench struct {
	t       testing.TB
	cfg     Config
	raw     *memBucket
	staging *memBucket
	table   registry.Table
}

func newBench(t testing.TB, table registry.Table) *bench {
	cfg := DefaultConfig()
	cfg.ScratchDir = t.TempDir()
	return &bench{t: t, cfg: cfg, raw: newMemBucket(), staging: newMemBucket(), table: table}
}

// put makes a file of the raw bucket.
func (b *bench) put(key, content string) dms.File {
	b.raw.put(key, []byte(content))
	o := dms.Object{Bucket: "memory", Key: key, ETag: etagOf([]byte(content)), Size: int64(len(content)),
		LastModified: time.Date(2024, 1, 15, 8, 0, 0, 0, time.UTC)}
	name, why := dms.ParseName(key[strings.LastIndexByte(key, '/')+1:], dms.NameRules{Place: dms.Anywhere})
	if why != nil {
		b.t.Fatal(why.Detail)
	}
	id := dms.NewFileID(o, name.Kind)
	return dms.File{ID: id, Object: o, Kind: name.Kind, Order: dms.NewFileOrder(name, o.LastModified, id)}
}

func (b *bench) run(f dms.File) (*Result, error) {
	b.t.Helper()
	result, err := Run(b.t.Context(), b.cfg, Deps{Raw: b.raw, Staging: b.staging}, Job{Table: b.table, File: f, Token: 7})
	if b.staging.open != 0 {
		b.t.Errorf("%d writers were neither committed nor aborted", b.staging.open)
	}
	if err == nil && !result.Reused || isFailure(err) {
		b.sameElsewhere(f, result, err)
	}
	return result, err
}

func (b *bench) mustRun(f dms.File) *Result {
	b.t.Helper()
	result, err := b.run(f)
	if err != nil {
		b.t.Fatal(err)
	}
	again, err := ReadManifest(b.t.Context(), b.staging, result.ManifestKey, result.ManifestSHA256)
	if err != nil {
		b.t.Fatal(err)
	}
	if fmt.Sprint(again) != fmt.Sprint(result.Manifest) {
		b.t.Errorf("the manifest reads as %v, was %v", again, result.Manifest)
	}
	return result
}

// refused runs a file that must fail, and gives its failure.
func (b *bench) refused(f dms.File) *Failure {
	b.t.Helper()
	_, err := b.run(f)
	var failure *Failure
	if !errors.As(err, &failure) {
		b.t.Fatalf("not refused: %v", err)
	}
	keys := slices.DeleteFunc(b.staging.keys(), func(key string) bool { return strings.HasSuffix(key, "/"+ValueName) })
	if len(keys) != 0 {
		b.t.Errorf("staged all the same: %v", keys)
	}
	return failure
}

// stagedRows reads staged files as lines: the values of user columns, then the
// row number. It checks each file against the manifest.
func (b *bench) stagedRows(files []StagedParquet) []string {
	b.t.Helper()
	var out []string
	for _, staged := range files {
		r, err := OpenStaged(b.t.Context(), b.staging, staged)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := r.VerifySHA256(b.t.Context()); err != nil {
			b.t.Error(err)
		}
		for row, err := range r.Rows(b.t.Context()) {
			if err != nil {
				b.t.Fatal(err)
			}
			out = append(out, rowLine(row))
		}
		if err := r.Close(); err != nil {
			b.t.Error(err)
		}
	}
	return out
}

func rowLine(row parquet.Row) string {
	var parts []string
	for _, v := range row {
		switch {
		case v.IsNull():
			parts = append(parts, `\N`)
		case v.Kind() == parquet.ByteArray:
			parts = append(parts, string(v.ByteArray()))
		case v.Kind() == parquet.FixedLenByteArray:
			parts = append(parts, fmt.Sprintf("%x", v.ByteArray()))
		default:
			parts = append(parts, v.String())
		}
	}
	n := len(parts)
	return strings.Join(append(parts[:n-3], "#"+parts[n-2]), "|")
}

func csvOf(rows ...[]string) string {
	var buf bytes.Buffer
	for _, row := range rows {
		for i, field := range row {
			if i > 0 {
				buf.WriteByte(',')
			}
			if strings.ContainsAny(field, "\",\n\r") {
				field = `"` + strings.ReplaceAll(field, `"`, `""`) + `"`
			}
			buf.WriteString(field)
		}
		buf.WriteByte('\n')
	}
	return buf.String()
}
