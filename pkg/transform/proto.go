package transform

import (
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Proto gives the form that TransformFailed and TablePaused carry.
func (f *Failure) Proto() *blotterv1.Failure {
	return &blotterv1.Failure{
		Code: f.Code, Message: f.Message, ObjectKey: f.ObjectKey, Row: f.Row, Column: f.Column,
		Expected: f.Expected, Hint: f.Hint, RowsFailed: f.RowsFailed,
	}
}

// FailureOf reads what Proto gives; nil for nil.
func FailureOf(p *blotterv1.Failure) *Failure {
	if p == nil {
		return nil
	}
	return &Failure{
		Code: p.GetCode(), Message: p.GetMessage(), ObjectKey: p.GetObjectKey(), Row: p.GetRow(), Column: p.GetColumn(),
		Expected: p.GetExpected(), Hint: p.GetHint(), RowsFailed: p.GetRowsFailed(),
	}
}

// Proto gives the form that FileTransformed carries.
func (c Counts) Proto() *blotterv1.RowCounts {
	return &blotterv1.RowCounts{
		RowsRead: c.RowsRead, Inserts: c.Inserts, Updates: c.Updates, Deletes: c.Deletes,
		DuplicatesDropped: c.DuplicatesDropped, AmbiguousTies: c.AmbiguousTies, Rejected: c.Rejected, NoBeforeImage: c.NoBeforeImage,
	}
}

// Staged gives the proof of a transform that FileTransformed carries.
func (r *Result) Staged() *blotterv1.StagedFile {
	return &blotterv1.StagedFile{
		FileId: string(r.Manifest.FileID), Token: r.Manifest.Token,
		ManifestKey: r.ManifestKey, ManifestSha256: r.ManifestSHA256, Counts: r.Manifest.Counts.Proto(),
		Parts: wire.TransactionParts(r.Manifest.Parts), InputSha256: r.Manifest.Input.SHA256,
	}
}
