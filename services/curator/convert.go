package curator

import (
	"errors"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

func requestOf(spec registry.Table, e *blotterv1.PublishRequested) lake.Request {
	r := lake.Request{Spec: spec, Token: e.GetToken(), After: e.GetAfterToken(), Loss: lossOf(e), Generation: e.GetGeneration(), Mode: lake.Merge}
	if e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE {
		r.Mode = lake.Replace
	}
	for _, part := range e.GetParts() {
		r.Parts = append(r.Parts, lake.Part{
			FileID:         dms.FileID(part.GetFile().GetFileId()),
			Kind:           wire.KindOf(part.GetFile().GetKind()),
			ManifestKey:    part.GetStaged().GetManifestKey(),
			ManifestSHA256: part.GetStaged().GetManifestSha256(),
		})
	}
	return r
}

func publishedAnswer(token uint64, r lake.Result) answer {
	event := &blotterv1.FilesPublished{
		Token: token, SnapshotId: r.SnapshotID, TableRows: r.TableRows, Strategy: r.Strategy, RowsHash: r.RowsHash,
	}
	for _, f := range r.Files {
		event.Files = append(event.Files, &blotterv1.PublishedFile{
			FileId: string(f.FileID),
			Counts: &blotterv1.RowCounts{
				RowsRead: f.Counts.RowsRead, Inserts: f.Counts.Inserts, Updates: f.Counts.Updates,
				Deletes: f.Counts.Deletes, DuplicatesDropped: f.Counts.DuplicatesDropped,
				AmbiguousTies: f.Counts.AmbiguousTies + f.Ties, Superseded: f.Superseded, Rejected: f.Counts.Rejected,
				NoBeforeImage: f.Counts.NoBeforeImage,
			},
		})
	}
	a := answer{name: "published", parts: []string{tokenPart(token)}, event: event}
	if len(event.GetFiles()) == 1 {
		a.file = event.GetFiles()[0].GetFileId()
	}
	return a
}

// failureOf turns a refused audit into the failure of the raw file it is about.
func failureOf(refused *lake.AuditError, e *blotterv1.PublishRequested) *blotterv1.Failure {
	failure := &blotterv1.Failure{
		Code: refused.Code, Message: refused.Error(), Row: refused.Row,
		Hint: "the staged output is not what the transform said; resume with --retry stages it anew",
	}
	switch refused.Code {
	case lake.CodeTypes:
		failure.Hint = "the table keeps the type that it has (see blotter table schema). Where the file's values are text, register the column with that " +
			"type, apply, and resume with --retry; else have the task convert the column, or write it under another name, and resume with --skip"
	case lake.CodePositionDeletes:
		failure.Hint = "the job named wrong rows of the table, which is a fault of it: give the table flag L, or start the job without --blotter_positions, then resume with --retry"
	}
	for _, part := range e.GetParts() {
		if part.GetFile().GetFileId() == string(refused.FileID) {
			failure.ObjectKey = part.GetFile().GetObject().GetKey()
		}
	}
	return failure
}

// lossOf is the loss that is accepted by what is asked of the lake.
func lossOf(e interface {
	GetLossAcceptedFrom() uint64
	GetLossAcceptedTo() uint64
}) lake.Loss {
	return lake.Loss{From: e.GetLossAcceptedFrom(), To: e.GetLossAcceptedTo()}
}

// setBack is the failure of a table that was set back.
func setBack(err error) *blotterv1.Failure {
	f := &blotterv1.Failure{Code: wire.FailureSetBack, Message: err.Error(), Hint: waysOnSetBack}
	if back := (*lake.SetBackError)(nil); errors.As(err, &back) {
		f.LakeToken = back.To
	}
	return f
}
