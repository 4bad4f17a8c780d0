package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/services/curator"
)

// tombstoneBytes: the remembered deletes are those that the table's properties tell of.
func (l *look) tombstoneBytes(ctx context.Context) error {
	if l.lake.contents == nil {
		return nil // told as unreadable, or there is no table
	}
	return l.deps.Lake.VerifyTombstones(ctx, l.id, func(object string, err error) {
		l.add(Finding{Kind: LakeObjectChanged, Object: object, Detail: "remembered deletes were altered: " + err.Error(),
			Do: "restore it from a backup or from another version of the object: changes of keys that it may hold fail without it, and the table pauses; " +
				"or have DMS load the table anew, which needs no deletes of before"})
	})
}

// rejectedBytes: the rows that were set aside are those that were staged, as long as the
// manifest is there, for which the log vouches; else those that their report tells of.
func (l *look) rejectedBytes(ctx context.Context, r rejected) error {
	want, staged, err := l.stagedRejected(ctx, r)
	if err != nil {
		return err
	}
	told, err := l.reportOfRejected(ctx, r.event.GetReportKey())
	if errors.Is(err, objects.ErrNotFound) {
		told, err = want, nil // the report is told as gone
	}
	if err != nil {
		return err
	}
	if staged == nil {
		want = told
	}
	keys := []string{r.event.GetReportKey()}
	if !slices.Equal(want, told) {
		l.rowsChanged(ctx, r, r.event.GetReportKey(), "the report of rejected rows does not tell of those that were staged", keys, staged)
	}
	for _, o := range want {
		err := transform.VerifySHA256(ctx, l.deps.Failed, transform.StagedParquet{Key: o.Key, SHA256: o.SHA256, Bytes: o.Bytes})
		switch {
		case errors.Is(err, transform.ErrCorrupt):
			l.rowsChanged(ctx, r, o.Key, "rows that were set aside were altered: "+err.Error(), append(keys, o.Key), staged)
		case errors.Is(err, objects.ErrNotFound) && o.Key != r.event.GetRejectedKey(): // that one is told as gone
			l.rowsGone(r, o.Key)
		case err != nil && !errors.Is(err, objects.ErrNotFound):
			return err
		}
	}
	return nil
}

// rowsChanged tells of an altered object of rejected rows. It is written again by a repair if
// all of what was staged is whole.
func (l *look) rowsChanged(ctx context.Context, r rejected, key, detail string, instead []string, staged []transform.StagedParquet) {
	f := Finding{Kind: RejectedCopyChanged, FileID: dms.FileID(r.event.GetFileId()), Object: key, Detail: detail,
		Do: "put the object back from a backup or from another version of it: what was staged, from which it would be written again, is gone or altered, too"}
	whole := staged != nil && r.by != nil
	for _, s := range staged {
		whole = whole && transform.VerifySHA256(ctx, l.deps.Staging, s) == nil
	}
	if whole {
		f.Do = "`blotter fsck --bytes --repair --reason …` writes it again from what was staged; keep a copy of it before, as evidence"
		if l.deps.Repair != nil {
			id := l.id
			f.repair = l.again(key, func(ctx context.Context) error { return l.deps.Repair.KeepRejected(ctx, id, instead, r.by) })
		}
	}
	l.add(f)
}

// stagedRejected gives the files of rejected rows as the manifest has them, by their keys in
// the failed bucket and in the staging bucket; nil if there is no such manifest any more.
func (l *look) stagedRejected(ctx context.Context, r rejected) (list []curator.RejectedObject, staged []transform.StagedParquet, err error) {
	part := r.part()
	if part == nil {
		return nil, nil, nil
	}
	m, err := transform.ReadManifest(ctx, l.deps.Staging, part.GetManifestKey(), part.GetManifestSha256())
	if errors.Is(err, objects.ErrNotFound) || errors.Is(err, transform.ErrCorrupt) { // told as changed
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, s := range m.Rejected {
		list = append(list, curator.RejectedObject{Key: path.Dir(r.event.GetReportKey()) + "/" + path.Base(s.Key), SHA256: s.SHA256, Bytes: s.Bytes, Rows: s.Rows})
	}
	return list, m.Rejected, nil
}

// part gives what was staged of the file whose rows were rejected; nil if it is not known.
func (r rejected) part() *blotterv1.StagedFile {
	for _, p := range r.by.GetParts() {
		s := p.GetStaged()
		if s.GetFileId() == r.event.GetFileId() && strings.Contains(r.event.GetReportKey(), fmt.Sprintf("/rejected-%d/", s.GetToken())) {
			return s
		}
	}
	return nil
}

// reportOfRejected reads which files of rejected rows a report tells of: none, if it is no
// report any more.
func (l *look) reportOfRejected(ctx context.Context, key string) ([]curator.RejectedObject, error) {
	object, err := l.deps.Failed.Open(ctx, key, objects.Version{})
	if err != nil {
		return nil, fmt.Errorf("read the report %s: %w", key, err)
	}
	b, err := io.ReadAll(io.LimitReader(object, maxReport+1))
	if err := errors.Join(err, object.Close()); err != nil {
		return nil, fmt.Errorf("read the report %s: %w", key, err)
	}
	var report curator.RejectedReport
	if err := json.Unmarshal(b, &report); err != nil {
		return nil, nil //nolint:nilerr // it tells of no rows, which is told
	}
	return report.Rejected, nil
}
