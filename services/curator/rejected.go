package curator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// RejectedReport stands beside the rows of a file that was published without
// them, as JSON. It holds no value of a row but those of Ways, which are left out
// unless the table's reports show values.
type RejectedReport struct {
	Table     string    `json:"table"`
	FileID    string    `json:"file_id"`
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	VersionID string    `json:"version_id,omitempty"`
	ETag      string    `json:"etag"`
	Size      int64     `json:"size"`
	Modified  time.Time `json:"last_modified"`
	Token     uint64    `json:"token"` // under which the file was staged
	Rows      int64     `json:"rows"`
	// Rejected lists the Parquet files with the rows, in the failed bucket.
	Rejected []RejectedObject `json:"rejected"`
	// Ways are the ways in which rows are bad, by the first row of each.
	Ways []RejectedWay `json:"ways"`
	See  []string      `json:"see"` // the commands that show them and bring them in
}

// RejectedObject is one Parquet file of rejected rows.
type RejectedObject struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
	Rows   int64  `json:"rows"`
}

// RejectedWay is one way in which rows of a file are bad.
type RejectedWay struct {
	Code     string `json:"code"`
	Column   string `json:"column,omitempty"`
	Rows     int64  `json:"rows"`
	FirstRow int64  `json:"first_row"`
	Message  string `json:"message"`
	Expected string `json:"expected"`
	Hint     string `json:"hint"`
	Value    string `json:"value,omitempty"` // of the first row, its beginning
}

// maxWays and maxValue bound a report.
const (
	maxWays  = 1000
	maxValue = 64
)

// RejectedFolder is where the rejected rows of a file lie in the failed bucket,
// named by the token under which it was staged; without "/" at its end.
func RejectedFolder(table dms.TableID, file dms.FileID, token uint64) string {
	return QuarantineFolder(table, file) + "/rejected-" + strconv.FormatUint(token, 10)
}

const reportName = "report.json"

// keepRejected copies the rejected rows of all files that are to be published to
// the failed bucket, the report last. What is there already stays. Files whose
// manifest is not what was announced are passed over: the audit refuses them.
func (s *Service) keepRejected(ctx context.Context, spec registry.Table, e *blotterv1.PublishRequested) error {
	for _, part := range e.GetParts() {
		if part.GetStaged().GetCounts().GetRejected() == 0 {
			continue
		}
		_, err := try(ctx, s.attempts(ctx, "keep rejected rows", spec.ID), func() (struct{}, error) { return struct{}{}, s.keepPart(ctx, spec, part) })
		if errors.Is(err, transform.ErrCorrupt) || errors.Is(err, objects.ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("keep the rejected rows of file %s: %w", part.GetFile().GetFileId(), err)
		}
	}
	return nil
}

// KeepRejected writes the rejected rows of the files of a publication to the failed
// bucket again, and says nothing: what there is a report of is taken to be there.
func (s *Service) KeepRejected(ctx context.Context, table dms.TableID, e *blotterv1.PublishRequested) error {
	spec, err := s.deps.Specs.Spec(ctx, table, e.GetSpecVersion())
	if err != nil {
		return err
	}
	return s.keepRejected(ctx, spec, e)
}

func (s *Service) keepPart(ctx context.Context, spec registry.Table, part *blotterv1.StagedPart) error {
	file, staged := wire.FileOf(part.GetFile()), part.GetStaged()
	folder := RejectedFolder(spec.ID, file.ID, staged.GetToken())
	_, err := s.deps.Failed.Stat(ctx, folder+"/"+reportName)
	if err == nil || !errors.Is(err, objects.ErrNotFound) {
		return err
	}
	m, err := transform.ReadManifest(ctx, s.deps.Staging, staged.GetManifestKey(), staged.GetManifestSha256())
	if err != nil {
		return err
	}
	report := RejectedReport{
		Table: spec.ID.String(), FileID: string(file.ID), Bucket: file.Object.Bucket, Key: file.Object.Key,
		VersionID: file.Object.VersionID, ETag: file.Object.ETag, Size: file.Object.Size, Modified: file.Object.LastModified.UTC(),
		Token: staged.GetToken(), Rows: m.Counts.Rejected,
		See: []string{
			fmt.Sprintf("blotter rejected export '%s' --file %s -o rows.csv", spec.ID, file.ID),
			fmt.Sprintf("blotter rejected replay '%s' rows.csv --file %s --reason '…'   # once the rows are mended", spec.ID, file.ID),
		},
	}
	for _, r := range m.Rejected {
		key := folder + "/" + path.Base(r.Key)
		_, err := s.deps.Failed.Copy(ctx, s.deps.Staging, r.Key, objects.Version{}, key)
		if err != nil && !errors.Is(err, objects.ErrExists) {
			return err
		}
		report.Rejected = append(report.Rejected, RejectedObject{Key: key, SHA256: r.SHA256, Bytes: r.Bytes, Rows: r.Rows})
	}
	if report.Ways, err = s.ways(ctx, m.Rejected, spec.Reports.ShowValues); err != nil {
		return err
	}
	return s.writeReport(ctx, folder+"/"+reportName, report)
}

// ways sums up in which ways rows are bad.
func (s *Service) ways(ctx context.Context, files []transform.StagedParquet, showValues bool) ([]RejectedWay, error) {
	var ways []RejectedWay
	at := map[[2]string]int{}
	for _, f := range files {
		r, err := transform.OpenRejected(ctx, s.deps.Staging, f.Key)
		if err != nil {
			return nil, err
		}
		for row, err := range r.Rows(ctx) {
			if err != nil {
				return nil, errors.Join(err, r.Close())
			}
			way := [2]string{row.Code, row.Column}
			i, known := at[way]
			switch {
			case known:
				ways[i].Rows++
			case len(ways) < maxWays:
				at[way] = len(ways)
				w := RejectedWay{Code: row.Code, Column: row.Column, Rows: 1, FirstRow: row.Row,
					Message: row.Message, Expected: row.Expected, Hint: row.Hint}
				if showValues {
					value := r.Header.Value(row)
					w.Value = shownValue(value[:min(len(value), maxValue)])
				}
				ways = append(ways, w)
			}
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return ways, nil
}

// published says what a commit made visible, and before it what it left out. It
// asks no store: those rows were kept before the commit.
func published(table dms.TableID, token uint64, result lake.Result) []answer {
	var answers []answer
	for _, f := range result.Files {
		if f.Counts.Rejected == 0 {
			continue
		}
		staged := cmp.Or(f.Staged, token)
		folder := RejectedFolder(table, f.FileID, staged)
		answers = append(answers, answer{
			name: "rows-rejected", parts: []string{string(f.FileID), tokenPart(staged)}, file: string(f.FileID),
			event: &blotterv1.RowsRejected{
				FileId: string(f.FileID), Rows: f.Counts.Rejected, ReportKey: folder + "/" + reportName,
				RejectedKey: folder + "/rejected-00001.parquet",
			},
			early: true, // a file that is folded into a replacement was told of before
		})
	}
	return append(answers, publishedAnswer(token, result))
}
