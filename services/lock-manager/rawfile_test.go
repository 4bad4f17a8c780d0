package lockmanager

import (
	"fmt"
	"path"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var (
	testTable = dms.TableID{DB: "rms", Table: "reports"}
	txnTable  = dms.TableID{DB: "rms", Table: dms.TransactionTable}
	// modelEpoch is when the tests begin; objects are modified in the hours before it.
	modelEpoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// fault is what goes wrong with a raw file, whoever reads it.
type fault string

const (
	sound       fault = ""
	unreadable  fault = "unreadable"  // every transform refuses it
	flaky       fault = "flaky"       // the first transform refuses it
	hanging     fault = "hanging"     // the first transforms never end
	unmergeable fault = "unmergeable" // the curator's audit refuses it
	unfoldable  fault = "unfoldable"  // the audit refuses it in a replacement, not in a merge
	disputed    fault = "disputed"    // one audit refuses it, another does not
	hangsFor          = 2             // transforms of a hanging file that never end
	prefix            = "dms/rms/reports/"
)

// op is one row of a raw file.
type op struct {
	kind       byte // 'L' of a load, else 'I', 'U' or 'D'
	key, value int
	seq        int
}

// rawFile is one object of the raw bucket.
type rawFile struct {
	ref   *blotterv1.FileRef
	name  string
	ops   []op
	fault fault
	// rejected counts the rows that are set aside beside ops; aside are they, once
	// they are mended.
	rejected int64
	aside    []op
	mends    *rawFile // of mended rows: the file that they belong to
}

// placeOf gives the place of one of the file's rows; those set aside stand behind
// the others.
func (f *rawFile) placeOf(i int, o op) place {
	p := place{class: '1', seq: o.seq, order: f.order(), row: i + 1}
	of := f
	if f.mends != nil {
		of = f.mends
		p.order, p.row = of.order(), 100+i
	}
	if of.isLoad() {
		p.class, p.seq = '0', 0
	}
	return p
}

// newRaw makes the file with a name below the table's folder, modified so many
// minutes before or after the model's epoch. The version tells two files of one
// name apart.
func newRaw(name string, minutes int, version string, ops ...op) *rawFile {
	parsed, not := dms.ParseName(name, dms.NameRules{Place: dms.Anywhere})
	if not != nil {
		panic(not.Detail)
	}
	o := dms.Object{
		Bucket: "raw", Key: prefix + name, VersionID: version, Size: 100,
		LastModified: modelEpoch.Add(time.Duration(minutes) * time.Minute),
	}
	id := dms.NewFileID(o, parsed.Kind)
	f := dms.File{ID: id, Object: o, Kind: parsed.Kind, Order: dms.NewFileOrder(parsed, o.LastModified, id)}
	return &rawFile{ref: wire.FileRef(f), name: name + "@" + version, ops: ops}
}

// loadFile makes LOAD0000000<number>.csv, changeFile the change file that was
// written in the given minute of the day.
func loadFile(number, minutes int, version string, ops ...op) *rawFile {
	return newRaw(fmt.Sprintf("LOAD%08X.csv", number), minutes, version, ops...)
}

func changeFile(minute, minutes int, ops ...op) *rawFile {
	return newRaw(fmt.Sprintf("20260228-%02d%02d00000.csv", minute/60, minute%60), minutes, "v1", ops...)
}

// txnFile makes the transaction file that was written in the given minute of the day.
func txnFile(minute, minutes int, ops ...op) *rawFile {
	return newRaw(fmt.Sprintf("CDC_TXN-20260228%02d%02d00000.csv", minute/60, minute%60), minutes, "v1", ops...)
}

// txnPart makes the same file's part of the test's table.
func txnPart(minute, minutes int, ops ...op) *rawFile {
	f := txnFile(minute, minutes, ops...)
	part := dms.Part{FileID: f.id(), Schema: "RMS", Table: "REPORTS"}
	file := wire.FileOf(f.ref)
	name, _ := dms.ParseName(path.Base(f.key()), dms.NameRules{Place: dms.InTransactions})
	file.ID, file.Kind, file.Part = part.ID(), dms.KindChange, part
	file.Order = dms.NewFileOrder(name, file.Object.LastModified, file.ID)
	f.ref, f.name = wire.FileRef(file), f.name+" "+part.String()
	return f
}

// parts are what a transaction file divides into: each operation is of a table of
// its own.
func (f *rawFile) parts() []*blotterv1.TransactionPart {
	if f.ref.GetKind() != blotterv1.FileKind_FILE_KIND_TRANSACTION {
		return nil
	}
	var parts []dms.TransactionPart
	for i := range f.ops {
		part := dms.Part{FileID: f.id(), Schema: "rms", Table: fmt.Sprint("t", i+1)}
		parts = append(parts, dms.TransactionPart{FileID: part.ID(), Schema: part.Schema, Table: part.Table, Rows: 1})
	}
	return wire.TransactionParts(parts)
}

func (f *rawFile) id() dms.FileID      { return dms.FileID(f.ref.GetFileId()) }
func (f *rawFile) order() string       { return f.ref.GetOrder() }
func (f *rawFile) key() string         { return f.ref.GetObject().GetKey() }
func (f *rawFile) modified() time.Time { return f.ref.GetObject().GetLastModified().AsTime() }
func (f *rawFile) isLoad() bool        { return f.ref.GetKind() == blotterv1.FileKind_FILE_KIND_LOAD }

// isMerged reports whether the file's rows are merged under its own grant.
func (f *rawFile) isMerged() bool { return f.ref.GetKind() == blotterv1.FileKind_FILE_KIND_CHANGE }

func (f *rawFile) classified() *blotterv1.FileClassified {
	return &blotterv1.FileClassified{File: f.ref, SpecVersion: 1}
}

// deleted tells that the object was deleted; n tells two deletions of it apart.
func (f *rawFile) deleted(reason string, n uint64) *blotterv1.ObjectDeleted {
	return &blotterv1.ObjectDeleted{
		FileId: string(f.id()), Object: f.ref.GetObject(), Reason: reason, Source: "event",
		DeletionId: fmt.Sprintf("deletion %d of %s", n, f.name),
	}
}

func (f *rawFile) counts() *blotterv1.RowCounts {
	n := int64(len(f.ops))
	return &blotterv1.RowCounts{RowsRead: n + f.rejected, Inserts: n, Rejected: f.rejected}
}

func (f *rawFile) staged(token uint64) *blotterv1.StagedFile {
	return &blotterv1.StagedFile{
		FileId: string(f.id()), Token: token, Counts: f.counts(),
		ManifestKey: fmt.Sprintf("%s/%d/manifest.json", f.id(), token), ManifestSha256: "sha of " + f.name,
		Parts: f.parts(),
	}
}

func (f *rawFile) failure(code string) *blotterv1.Failure {
	return &blotterv1.Failure{Code: code, Message: "the file cannot be taken", ObjectKey: f.key()}
}

// testSpec is a registration of the test's table; with flag G it names a job of Glue.
func testSpec(version uint64, flag registry.Flag) registry.Table {
	spec := registry.Table{
		ID: testTable, Version: version, Prefix: "dms/", Path: "rms/reports/", Flag: flag,
		Load: registry.LoadRule{QuietPeriod: 10 * time.Minute}, OnBadRow: "fail",
		PrimaryKey: []string{"id"},
		Columns:    []registry.Column{{ID: 1, Name: "id", Type: registry.Type{Kind: registry.Long}, Required: true}},
	}
	if flag == registry.FlagGlue {
		spec.Job.Glue = "blotter"
	}
	return spec
}

// specOf is a registration of a table of the tests.
func specOf(table dms.TableID, version uint64, flag registry.Flag) registry.Table {
	spec := testSpec(version, flag)
	if table.IsTransactions() {
		cdc := "cdc/"
		spec.DMS.CDCPath = &cdc
		spec, _ = spec.OfTransactions()
		spec.Version, spec.Flag = version, flag
	}
	return spec
}

// modelConfig has bounds so small that few files reach them.
func modelConfig() Config {
	cfg := DefaultConfig()
	cfg.GrantTimeout, cfg.BatchBytes = 15*time.Minute, 64<<20
	cfg.BatchFiles, cfg.LoadFiles, cfg.GlueLoadFiles, cfg.MaxExpired = 3, 2, 3, 2
	cfg.MaintainAfter, cfg.MaintainAtLatest, cfg.MaintainBetween = 4, 6, 2
	return cfg
}

// eagerConfig maintains after the given number of publications.
func eagerConfig(after int) Config {
	cfg := modelConfig()
	cfg.MaintainAfter, cfg.MaintainAtLatest, cfg.MaintainBetween = after, after+1, 1
	cfg.MaintainAge, cfg.MaintainTimeout = 30*time.Minute, cfg.GrantTimeout
	return cfg
}
