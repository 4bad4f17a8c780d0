package curator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Report is what stands beside a quarantined object, as JSON: what is wrong,
// where, and what to do. It holds no value of a row but Value, which is left out
// unless the table's reports show values.
type Report struct {
	Table     string    `json:"table"`
	FileID    string    `json:"file_id"`
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	VersionID string    `json:"version_id,omitempty"`
	ETag      string    `json:"etag"`
	Size      int64     `json:"size"`
	Modified  time.Time `json:"last_modified"`
	// Part is set where the failed rows are those of one table in a transaction file.
	Part *dms.Part `json:"part,omitempty"`
	// Mending is set where they are rows that an operator mended, of another file.
	Mending     *dms.Mending `json:"mending,omitempty"`
	Quarantined time.Time    `json:"quarantined"`
	Code        string       `json:"code"`
	Message     string       `json:"message"`
	Row         int64        `json:"row,omitempty"`
	Column      string       `json:"column,omitempty"`
	Expected    string       `json:"expected,omitempty"`
	RowsFailed  int64        `json:"rows_failed,omitempty"`
	Value       string       `json:"value,omitempty"` // the beginning of it
	Hint        string       `json:"hint,omitempty"`
	Resume      []string     `json:"resume"`         // the commands that let the table go on
	Copy        string       `json:"copy,omitempty"` // the key of the object's copy in the failed bucket
	CopyError   string       `json:"copy_error,omitempty"`
}

// QuarantineFolder is where the copies and the reports of a file lie in the failed
// bucket, each time that it was quarantined in a folder of its own; without "/" at its
// end.
func QuarantineFolder(table dms.TableID, file dms.FileID) string {
	return path.Join(objectPart(table.DB), objectPart(table.Table), string(file))
}

// ReportOf is the report of a pause as far as its event tells: the value lacks, and Copy is
// where the copy is to lie. at is the time of the pause.
func ReportOf(table dms.TableID, at time.Time, e *blotterv1.TablePaused) Report {
	file, failure := wire.FileOf(e.GetFile()), e.GetFailure()
	report := Report{
		Table: table.String(), FileID: string(file.ID), Bucket: file.Object.Bucket, Key: file.Object.Key,
		VersionID: file.Object.VersionID, ETag: file.Object.ETag, Size: file.Object.Size,
		Modified: file.Object.LastModified.UTC(), Quarantined: at.UTC(),
		Code: failure.GetCode(), Message: failure.GetMessage(), Row: failure.GetRow(), Column: failure.GetColumn(),
		Expected: failure.GetExpected(), RowsFailed: failure.GetRowsFailed(), Hint: failure.GetHint(),
		Resume: waysOn(table, file, failure.GetCode()),
		Copy:   reportFolder(table, file.ID, at) + "/" + path.Base(file.Object.Key),
	}
	if !file.Part.IsZero() {
		report.Part = &file.Part
	}
	if !file.Mending.IsZero() {
		report.Mending, report.Copy = &file.Mending, file.Object.Key
	}
	return report
}

// quarantine copies the raw object and a report to the failed bucket. Both are
// named by the file and the pause, so that a repetition finds them there. What
// could not be put there for maxTrying is told as missing.
func (s *Service) quarantine(ctx context.Context, table dms.TableID, at time.Time, e *blotterv1.TablePaused) ([]answer, error) {
	file := wire.FileOf(e.GetFile())
	failure := e.GetFailure()
	folder := reportFolder(table, file.ID, at)
	report := ReportOf(table, at, e)
	value, err := s.failedValue(ctx, table, file.ID, failure)
	if err != nil {
		return nil, err
	}
	report.Value = value
	_, err = try(ctx, s.attempts(ctx, "copy to the failed bucket", table), func() (objects.Info, error) { return s.keepCopy(ctx, file, report.Copy) })
	switch {
	case err == nil, errors.Is(err, objects.ErrExists):
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, objects.ErrNotFound), errors.Is(err, objects.ErrChanged):
		report.Copy, report.CopyError = "", "the object is not there any more in the version that failed"
	default:
		s.deps.Logger.ErrorContext(ctx, "copy to the failed bucket", "key", file.Object.Key, "error", err)
		report.Copy, report.CopyError = "", "the object could not be copied; the service's own log says why"
	}
	reportKey, reportError := folder+"/"+reportName, ""
	_, err = try(ctx, s.attempts(ctx, "write a report", table), func() (struct{}, error) { return struct{}{}, s.writeReport(ctx, reportKey, report) })
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		// The pause holds what is wrong; the table's lane must not wait for a store.
		s.deps.Logger.ErrorContext(ctx, "write to the failed bucket", "key", reportKey, "error", err)
		reportKey, reportError = "", "the report could not be written; the service's own log says why"
	}
	return []answer{{
		name: "quarantined", parts: []string{string(file.ID), strconv.FormatInt(at.UnixMicro(), 10)}, file: string(file.ID),
		event: &blotterv1.FileQuarantined{
			FileId: string(file.ID), ObjectKey: report.Copy, ReportKey: reportKey, ReportError: reportError, Failure: failure,
		},
	}}, nil
}

// Quarantine writes the copy and the report of a file that a pause is about, where they
// lack, and says nothing: the event was said. at is the time of the pause.
func (s *Service) Quarantine(ctx context.Context, table dms.TableID, at time.Time, e *blotterv1.TablePaused) error {
	_, err := s.quarantine(ctx, table, at, e)
	return err
}

// reportFolder is where the copy and the report of one pause lie.
func reportFolder(table dms.TableID, file dms.FileID, at time.Time) string {
	return QuarantineFolder(table, file) + "/" + at.UTC().Format("20060102T150405.000000Z")
}

// waysOn gives the commands that let a table go on behind a file that failed.
func waysOn(table dms.TableID, file dms.File, code string) []string {
	retry := fmt.Sprintf("blotter resume '%s' --retry   # read this same file again, once its registration is mended", table)
	skip := fmt.Sprintf("blotter resume '%s' --skip    # go on without it; ", table)
	if !file.Mending.IsZero() {
		return []string{retry, skip + "its rows are set aside still, and can be mended again",
			fmt.Sprintf("blotter rejected export '%s' --file %s -o rows.csv   # then, to mend them again", table, file.Mending.FileID)}
	}
	switch code {
	case transform.CodeObjectChanged:
		return []string{skip + "the version that is there now is a file of its own, and comes by itself"}
	case transform.CodeObjectGone:
		retry = fmt.Sprintf("blotter resume '%s' --retry   # read it again, once the object is put back", table)
	}
	return []string{retry, skip + "written again at the source, it comes as a new file"}
}

// keepCopy copies the object of a file into the failed bucket. Mended rows lie
// there already.
func (s *Service) keepCopy(ctx context.Context, file dms.File, to string) (objects.Info, error) {
	if !file.Mending.IsZero() {
		return s.deps.Failed.Stat(ctx, file.Object.Key)
	}
	version := objects.Version{ID: file.Object.VersionID, ETag: file.Object.ETag}
	return s.deps.Failed.Copy(ctx, s.deps.Raw, file.Object.Key, version, to)
}

// failedValue gives the value that a failure is about, if the table's reports
// show values and the transform has left it.
func (s *Service) failedValue(ctx context.Context, table dms.TableID, file dms.FileID, f *blotterv1.Failure) (string, error) {
	spec, err := s.deps.Specs.Spec(ctx, table, 0)
	if err != nil || !spec.Reports.ShowValues {
		return "", err
	}
	value, err := try(ctx, s.attempts(ctx, "read the value that failed", table), func() ([]byte, error) {
		return transform.FailedValue(ctx, s.deps.Staging, table, file, f.GetCode(), f.GetRow(), f.GetColumn())
	})
	if err != nil && ctx.Err() == nil {
		s.deps.Logger.ErrorContext(ctx, "look for the value at fault", "file", string(file), "error", err)
		return "", nil // the report is of use without it
	}
	return shownValue(value), err
}

// shownValue makes bytes of a row fit for JSON.
func shownValue(value []byte) string { return strings.ToValidUTF8(string(value), "\ufffd") }

// objectPart makes a name one part of an object key.
func objectPart(name string) string {
	var b bytes.Buffer
	for _, r := range name {
		if r == '/' || r == '%' {
			fmt.Fprintf(&b, "%%%02X", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// writeReport writes a report unless it is there.
func (s *Service) writeReport(ctx context.Context, key string, report any) (err error) {
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	w, err := s.deps.Failed.Create(ctx, key)
	if err == nil {
		defer func() { err = errors.Join(err, w.Abort()) }()
		if _, err = io.Copy(w, bytes.NewReader(append(b, '\n'))); err == nil {
			_, err = w.Commit(ctx)
		}
	}
	if err != nil && !errors.Is(err, objects.ErrExists) {
		return fmt.Errorf("write the report %s: %w", key, err)
	}
	return nil
}
