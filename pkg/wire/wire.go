// Package wire turns the words of the domain into their protobuf form and back.
package wire

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// FailureSetBack is the code of a Failure by which the lake says that a table lacks what was
// committed to it; lock-manager accepts that loss, if an operator says so, and no other.
const FailureSetBack = "lake.set_back"

// FailureDamaged is the code of a Failure by which the lake says that a table lacks an object,
// or has one that was altered. No file is to blame, and the fence waits for the object, so that
// lock-manager does not have the pause wait for it.
const FailureDamaged = "lake.damaged"

// FailureTimeout and FailureOutOfMemory are the codes of a Failure of a Lambda function that
// had not the time or the memory for a file, with which nothing else is wrong: lock-manager
// has Glue try it, where the table may choose.
const (
	FailureTimeout     = "lambda.timeout"
	FailureOutOfMemory = "lambda.out_of_memory"
)

// KindOf reads a file's kind; an unspecified one gives the zero kind.
func KindOf(k blotterv1.FileKind) dms.FileKind {
	switch k {
	case blotterv1.FileKind_FILE_KIND_LOAD:
		return dms.KindLoad
	case blotterv1.FileKind_FILE_KIND_CHANGE:
		return dms.KindChange
	case blotterv1.FileKind_FILE_KIND_TRANSACTION:
		return dms.KindTransaction
	}
	return 0
}

// Kind gives a file's kind its protobuf form.
func Kind(k dms.FileKind) blotterv1.FileKind {
	switch k {
	case dms.KindLoad:
		return blotterv1.FileKind_FILE_KIND_LOAD
	case dms.KindChange:
		return blotterv1.FileKind_FILE_KIND_CHANGE
	case dms.KindTransaction:
		return blotterv1.FileKind_FILE_KIND_TRANSACTION
	}
	return blotterv1.FileKind_FILE_KIND_UNSPECIFIED
}

// ObjectOf reads an object; its time is UTC.
func ObjectOf(o *blotterv1.ObjectRef) dms.Object {
	return dms.Object{
		Bucket: o.GetBucket(), Key: o.GetKey(), VersionID: o.GetVersionId(), ETag: o.GetEtag(),
		Size: o.GetSize(), LastModified: o.GetLastModified().AsTime(),
	}
}

// Object gives an object its protobuf form.
func Object(o dms.Object) *blotterv1.ObjectRef {
	return &blotterv1.ObjectRef{
		Bucket: o.Bucket, Key: o.Key, VersionId: o.VersionID, Etag: o.ETag,
		Size: o.Size, LastModified: timestamppb.New(o.LastModified),
	}
}

// FileOf reads a classified file.
func FileOf(f *blotterv1.FileRef) dms.File {
	return dms.File{
		ID: dms.FileID(f.GetFileId()), Object: ObjectOf(f.GetObject()),
		Kind: KindOf(f.GetKind()), Order: dms.FileOrder(f.GetOrder()), Part: PartOf(f.GetPart()),
		Mending: MendingOf(f.GetMending()),
	}
}

// FileRef gives a classified file its protobuf form.
func FileRef(f dms.File) *blotterv1.FileRef {
	return &blotterv1.FileRef{
		FileId: string(f.ID), Object: Object(f.Object), Kind: Kind(f.Kind), Order: string(f.Order), Part: Part(f.Part),
		Mending: Mending(f.Mending),
	}
}

// MendingOf reads whose rows were mended; nil gives the zero Mending.
func MendingOf(m *blotterv1.Mending) dms.Mending {
	return dms.Mending{
		FileID: dms.FileID(m.GetFileId()), Kind: KindOf(m.GetKind()), Order: dms.FileOrder(m.GetOrder()),
		Token: m.GetToken(), Rows: dms.RowSet(m.GetRows()), Dropped: dms.RowSet(m.GetDropped()),
	}
}

// Mending gives a mending its protobuf form; the zero Mending gives nil.
func Mending(m dms.Mending) *blotterv1.Mending {
	if m.IsZero() {
		return nil
	}
	return &blotterv1.Mending{
		FileId: string(m.FileID), Kind: Kind(m.Kind), Order: string(m.Order), Token: m.Token,
		Rows: string(m.Rows), Dropped: string(m.Dropped),
	}
}

// PartOf reads which part of a transaction file is meant; nil gives the zero Part.
func PartOf(p *blotterv1.PartOf) dms.Part {
	return dms.Part{FileID: dms.FileID(p.GetFileId()), Schema: p.GetSchema(), Table: p.GetTable()}
}

// Part gives a part its protobuf form; the zero Part gives nil.
func Part(p dms.Part) *blotterv1.PartOf {
	if p.IsZero() {
		return nil
	}
	return &blotterv1.PartOf{FileId: string(p.FileID), Schema: p.Schema, Table: p.Table}
}

// TransactionPartsOf reads the parts of a transaction file.
func TransactionPartsOf(parts []*blotterv1.TransactionPart) []dms.TransactionPart {
	var out []dms.TransactionPart
	for _, p := range parts {
		out = append(out, dms.TransactionPart{
			FileID: dms.FileID(p.GetFileId()), Schema: p.GetSchema(), Table: p.GetTable(), Rows: p.GetRows(),
		})
	}
	return out
}

// TransactionParts gives the parts of a transaction file their protobuf form.
func TransactionParts(parts []dms.TransactionPart) []*blotterv1.TransactionPart {
	var out []*blotterv1.TransactionPart
	for _, p := range parts {
		out = append(out, &blotterv1.TransactionPart{FileId: string(p.FileID), Schema: p.Schema, Table: p.Table, Rows: p.Rows})
	}
	return out
}
