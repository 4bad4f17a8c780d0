package ingestrouter

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Outcome is how a file, or the wait for it, ended.
type Outcome string

// The outcomes. All but Quarantined end an execution well, in a state of their name.
const (
	Published   Outcome = "Published"
	Superseded  Outcome = "Superseded" // by a later full load
	Ignored     Outcome = "Ignored"
	Quarantined Outcome = "Quarantined"
	// Duplicate: another execution waits for the same file, or has its end.
	Duplicate Outcome = "Duplicate"
	// Held: the file still waits, but nobody does any more.
	Held Outcome = "Held"
)

// The codes with which an execution fails.
const (
	codeQuarantined = "Blotter.Quarantined"
	codeNotTaken    = "Blotter.NotTaken" // what it was told of is not there, or cannot be read
)

// End is how a file ended, and what its execution is told, as JSON. It holds no value
// of a row.
type End struct {
	Outcome Outcome    `json:"outcome"`
	FileID  dms.FileID `json:"file_id,omitempty"`
	Table   string     `json:"table,omitempty"`
	// Snapshot is the commit that published the file.
	Snapshot int64  `json:"snapshot_id,omitempty"`
	Reason   string `json:"reason,omitempty"` // a stable code
	Detail   string `json:"detail,omitempty"`
	Report   string `json:"report,omitempty"` // its key in the failed bucket
	// Of, in a Duplicate, is the execution that waits or waited for the file.
	Of string `json:"of,omitempty"`
}

// fileEnd is what one event says of the end of one file.
type fileEnd struct {
	id  dms.FileID
	end End
	// again: the file is taken up anew; end is empty.
	again bool
	// parts are those that a transaction file was split into; end is empty.
	parts []dms.FileID
}

// endsOf tells which files ended with an event, and how.
func endsOf(table dms.TableID, event proto.Message) []fileEnd {
	one := func(id string, end End) []fileEnd {
		end.FileID, end.Table = dms.FileID(id), table.String()
		if table == dms.RawTable {
			end.Table = ""
		}
		return []fileEnd{{id: end.FileID, end: end}}
	}
	switch e := event.(type) {
	case *blotterv1.ObjectIgnored:
		return one(e.GetFileId(), End{Outcome: Ignored, Reason: e.GetReason(), Detail: e.GetDetail()})
	case *blotterv1.FileRejected:
		return one(e.GetFileId(), End{Outcome: Ignored, Reason: e.GetReason(), Detail: e.GetDetail()})
	case *blotterv1.FileIgnored:
		outcome := Ignored
		if e.GetReason() == "superseded" {
			outcome = Superseded
		}
		return one(e.GetFileId(), End{Outcome: outcome, Reason: e.GetReason(), Detail: e.GetDetail()})
	case *blotterv1.FileQuarantined:
		f := e.GetFailure()
		return one(e.GetFileId(), End{Outcome: Quarantined, Reason: f.GetCode(), Detail: sayFailure(f), Report: e.GetReportKey()})
	case *blotterv1.FileRetried:
		return []fileEnd{{id: dms.FileID(e.GetFileId()), again: true}}
	case *blotterv1.LockReleased:
		if e.GetOutcome() != "published" {
			return nil
		}
		var all []fileEnd
		for _, f := range e.GetFiles() {
			all = append(all, one(f.GetFileId(), End{Outcome: Published, Snapshot: e.GetSnapshotId()})...)
		}
		return all
	case *blotterv1.TransactionSplit:
		split := fileEnd{id: dms.FileID(e.GetFile().GetFileId())}
		for _, p := range e.GetParts() {
			split.parts = append(split.parts, dms.FileID(p.GetFileId()))
		}
		if len(split.parts) == 0 {
			return one(string(split.id), End{Outcome: Published, Detail: "it holds no rows"})
		}
		return []fileEnd{split}
	}
	return nil
}

// sayFailure says what is wrong with a file, where, and what to do.
func sayFailure(f *blotterv1.Failure) string {
	text := f.GetMessage()
	if f.GetRow() > 0 {
		text += fmt.Sprintf("; row %d", f.GetRow())
	}
	if f.GetColumn() != "" {
		text += "; column " + f.GetColumn()
	}
	if f.GetExpected() != "" {
		text += "; expected " + f.GetExpected()
	}
	if f.GetHint() != "" {
		text += "; " + f.GetHint()
	}
	return text
}

// final reports whether nothing that is said of a file later changes its end. A
// quarantined file may be retried.
func (e End) final() bool { return e.Outcome != "" && e.Outcome != Quarantined }

// endOfParts is the end of a transaction file whose parts all have ended: it is
// quarantined with the first of them that is.
func endOfParts(file dms.FileID, parts []End) End {
	published := 0
	for _, p := range parts {
		if p.Outcome == Quarantined {
			p.FileID = file
			p.Detail = "its rows of " + p.Table + ": " + p.Detail
			return p
		}
		if p.Outcome == Published {
			published++
		}
	}
	return End{Outcome: Published, FileID: file, Detail: fmt.Sprintf("%d of its %d parts are published, the others ignored", published, len(parts))}
}

func (e End) encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the end of file %s: %w", e.FileID, err)
	}
	return b, nil
}

func decodeEnd(b []byte) (End, error) {
	var e End
	if len(b) == 0 {
		return e, nil
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, fmt.Errorf("decode the end of a file: %w", err)
	}
	return e, nil
}
