package fsck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	"github.com/openblotter/blotter/services/curator"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// needed reports whether a file's raw version or staged output will be read yet.
func needed(f *lockmanager.File) bool {
	switch f.Status {
	case lockmanager.Waiting, lockmanager.Granted, lockmanager.Staged, lockmanager.Quarantined:
		return true
	}
	return false
}

// checkInputs: what is still to be read is there.
func (l *look) checkInputs(ctx context.Context) error {
	if l.state == nil {
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(l.state.Files)) {
		f := l.state.Files[id]
		if !needed(f) {
			continue
		}
		if f.Status == lockmanager.Staged && f.Staged != nil {
			if err := l.stagedThere(ctx, f); err != nil {
				return err
			}
			continue
		}
		object, err := l.openRaw(ctx, f.Object, f.Mending)
		if err == nil {
			err = object.Close()
		}
		if gone := rawGone(err); gone != "" {
			l.add(Finding{Kind: RawGone, FileID: f.ID, Object: f.Object.Key, Detail: fmt.Sprintf("the file is %s, and its raw version %s", f.Status, gone),
				Do: fmt.Sprintf("put the version back, from another one of the bucket or a backup; or give the file up: `blotter resume '%s' --skip`, once the table is paused for it", l.id)})
			continue
		}
		if err != nil {
			return fmt.Errorf("look for the raw version of %s: %w", f.Object.Key, err)
		}
	}
	return nil
}

func (l *look) stagedThere(ctx context.Context, f *lockmanager.File) error {
	_, err := l.deps.Staging.Stat(ctx, f.Staged.ManifestKey)
	if errors.Is(err, objects.ErrNotFound) {
		l.add(Finding{Kind: StagedGone, FileID: f.ID, Object: f.Staged.ManifestKey, Detail: "the file waits to be published, and its staged output is gone",
			Do: fmt.Sprintf("nothing is lost as long as its raw version is there: publishing it fails, the table pauses, and `blotter resume '%s' --retry` has it staged again", l.id)})
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for what was staged of %s: %w", f.ID, err)
	}
	return nil
}

// rawGone tells what happened to a raw version; empty if it is there.
func rawGone(err error) string {
	switch {
	case errors.Is(err, objects.ErrNotFound):
		return "is gone"
	case errors.Is(err, objects.ErrChanged):
		return "was written over"
	}
	return ""
}

// openRaw opens the version of an object that a file is.
func (l *look) openRaw(ctx context.Context, o dms.Object, mending dms.Mending) (objects.Reader, error) {
	bucket := l.deps.Raw
	if !mending.IsZero() && l.deps.Failed.Name() == o.Bucket {
		bucket = l.deps.Failed
	}
	return bucket.Open(ctx, o.Key, objects.Version{ID: o.VersionID, ETag: o.ETag})
}

// checkBytes reads what was staged, the raw versions, the copies of quarantined files and of
// rejected rows, and the lake, and holds them to the hashes that the log vouches for.
func (l *look) checkBytes(ctx context.Context) error {
	if !l.deps.Bytes {
		return nil
	}
	unstaged := map[dms.FileID]bool{}
	for _, id := range slices.Sorted(maps.Keys(l.facts.staged)) {
		staged := l.facts.staged[id]
		there, err := l.stagedBytes(ctx, id, staged.GetManifestKey(), staged.GetManifestSha256())
		if err != nil {
			return err
		}
		unstaged[id] = !there
	}
	for _, id := range slices.Sorted(maps.Keys(l.facts.files)) {
		if err := l.rawBytes(ctx, id, unstaged[id]); err != nil {
			return err
		}
	}
	for _, q := range l.facts.quarantined {
		if err := l.reportBytes(ctx, q); err != nil {
			return err
		}
	}
	for _, r := range l.facts.rejected {
		if err := l.rejectedBytes(ctx, r); err != nil {
			return err
		}
	}
	if err := l.tombstoneBytes(ctx); err != nil {
		return err
	}
	return l.rowBytes(ctx)
}

// rowBytes: the files of the table's newest snapshot can be read whole, and the live rows
// are those that the log has a hash of.
func (l *look) rowBytes(ctx context.Context) error {
	if l.lake.contents == nil || l.facts.newest == 0 {
		return nil
	}
	set, err := l.newestRows(ctx)
	if err != nil {
		return nil //nolint:nilerr // told by checkRows
	}
	again := fmt.Sprintf("`blotter replay '%s' --rows` tells which rows differ", l.id)
	hash, whole, err := set.Verify(ctx, func(object string, err error) {
		if !errors.Is(err, objects.ErrNotFound) { // told as gone
			l.add(Finding{Kind: LakeUnreadable, Object: object, Detail: err.Error(), Do: restore + again})
		}
	})
	if err != nil || !whole || l.facts.rowsHash == "" || hash.String() == l.facts.rowsHash {
		return err
	}
	l.add(Finding{Kind: RowsDiffer, Object: strconv.FormatInt(l.facts.newest, 10),
		Detail: fmt.Sprintf("the hash of where its rows come from is %s, and was %s when the log told of it", hash, l.facts.rowsHash), Do: restore + again})
	return nil
}

// reportBytes: the report of a quarantined file says what the log says of it, the value
// apart, of which the log tells nothing, and the commands, which another version wrote.
func (l *look) reportBytes(ctx context.Context, q quarantined) error {
	key := q.event.GetReportKey()
	if key == "" || q.by.event == nil {
		return nil
	}
	object, err := l.deps.Failed.Open(ctx, key, objects.Version{})
	if errors.Is(err, objects.ErrNotFound) {
		return nil // told as gone
	}
	if err != nil {
		return fmt.Errorf("read the report %s: %w", key, err)
	}
	b, err := io.ReadAll(io.LimitReader(object, maxReport+1))
	if err := errors.Join(err, object.Close()); err != nil {
		return fmt.Errorf("read the report %s: %w", key, err)
	}
	want, got := curator.ReportOf(l.id, q.by.record.Envelope.GetTime().AsTime(), q.by.event), curator.Report{}
	why := "it is no report any more"
	if err := json.Unmarshal(b, &got); err == nil && len(b) <= maxReport {
		want.Value, want.Resume, want.Hint, want.Copy, want.CopyError = got.Value, got.Resume, got.Hint, q.event.GetObjectKey(), got.CopyError
		if got.CopyError != "" { // a repair may have found the object gone
			want.Copy = ""
		}
		if reflect.DeepEqual(got, want) {
			return nil
		}
		why = "it does not say what the log says of the file"
	}
	l.add(Finding{Kind: FailedCopyChanged, FileID: dms.FileID(q.event.GetFileId()), Object: key, Detail: "the report of a quarantined file was changed: " + why,
		Do: "take it away, and `blotter fsck --repair` writes it again"})
	return nil
}

// maxReport bounds the bytes of a report that are read.
const maxReport = 1 << 20

// stagedBytes: output that is there is what was staged. What was published is not needed
// any more, so that it may be gone.
func (l *look) stagedBytes(ctx context.Context, id dms.FileID, key, sum string) (there bool, err error) {
	changed := func(key string, err error) {
		l.add(Finding{Kind: StagedChanged, FileID: id, Object: key, Detail: err.Error(),
			Do: "restore it from a backup; published rows are in the lake, and `blotter replay --rows` makes them again from the raw version"})
	}
	m, err := transform.ReadManifest(ctx, l.deps.Staging, key, sum)
	switch {
	case errors.Is(err, objects.ErrNotFound):
		return false, nil
	case errors.Is(err, transform.ErrCorrupt):
		changed(key, err)
		return true, nil
	case err != nil:
		return false, err
	}
	for _, s := range slices.Concat(m.Rows, m.Deletes, m.Rejected) {
		err := transform.VerifySHA256(ctx, l.deps.Staging, s)
		switch {
		case errors.Is(err, transform.ErrCorrupt), errors.Is(err, objects.ErrNotFound):
			changed(s.Key, err)
		case err != nil:
			return true, err
		}
	}
	return true, nil
}

// rawBytes: the raw version of a file is what was read when it was staged, and the copy of
// a quarantined one is the raw version. unstaged: its staged output is gone.
func (l *look) rawBytes(ctx context.Context, id dms.FileID, unstaged bool) error {
	f := l.facts.files[id]
	copies := l.facts.copies(id)
	want := l.facts.staged[id].GetInputSha256()
	if want == "" && len(copies) == 0 {
		return nil // nothing vouches for it but its ETag, by which it was opened
	}
	raw := ""
	object, err := l.openRaw(ctx, f.Object, f.Mending)
	if err == nil {
		raw, err = hashOf(ctx, object)
	}
	gone := rawGone(err)
	switch {
	case gone == "" && err != nil:
		return fmt.Errorf("read the raw version of %s: %w", f.Object.Key, err)
	case errors.Is(err, objects.ErrChanged) && !l.toldOfNow(ctx, f.Object.Key):
		l.add(Finding{Kind: RawChanged, FileID: id, Object: f.Object.Key, Detail: "the object is not what it was when the file came, and no event tells of what it is now",
			Do: fmt.Sprintf("if DMS wrote it anew, `blotter reconcile` takes that in as another version; else restore it from another version of the object or a backup. %s", l.takenIn(id))})
	case gone != "" && l.facts.published[id] > 0 && unstaged:
		l.add(Finding{Kind: RawGone, FileID: id, Object: f.Object.Key, Detail: "the file is published, its raw version " + gone + ", and its staged output is gone, too: nothing proves its rows any more",
			Do: "put one of them back from a backup"})
	case gone != "" && l.facts.published[id] > 0:
		l.add(Finding{Kind: RawGone, Note: true, FileID: id, Object: f.Object.Key, Detail: "the file is published, and its raw version " + gone,
			Do: "its rows can be proven by its staged output alone: keep that, or put the version back"})
	case gone == "" && want != "" && raw != want:
		l.add(Finding{Kind: RawChanged, FileID: id, Object: f.Object.Key, Detail: fmt.Sprintf("its bytes have the SHA-256 %s, and had %s when it was staged", raw, want),
			Do: "restore it from another version of the object or a backup. " + l.takenIn(id)})
	}
	if want == "" {
		want = raw
	}
	for _, key := range copies {
		if err := l.copyBytes(ctx, id, key, want); err != nil {
			return err
		}
	}
	return nil
}

// takenIn says what an altered raw version means for the table's rows: they were made from
// what it was.
func (l *look) takenIn(id dms.FileID) string {
	rows := fmt.Sprintf("`blotter replay '%s' --rows` shows whether the lake still has the rows of then", l.id)
	if l.facts.published[id] == 0 {
		return "The file is not published yet: what was staged of it has the hash in the log, and only that is published; keep the altered object as evidence"
	}
	return "The table has the rows of what it was when it was staged, and nothing takes in what it is now, unless the file is told of as another version: " +
		"do not load it by hand; keep the altered object as evidence, and find out who wrote it; " + rows
}

// toldOfNow reports whether an event tells of what lies under a key now, or that cannot be
// said.
func (l *look) toldOfNow(ctx context.Context, key string) bool {
	info, err := l.deps.Raw.Stat(ctx, key)
	if err != nil || l.facts.versions[version{key, info.ETag}] {
		return true // told as gone by then, or told
	}
	told := false // since the log was read, perhaps
	err = read(ctx, l.deps.Log, eventlog.Filter{Table: l.id, Service: ingestrouter.ServiceName}, func(r eventlog.Record) {
		if e, ok := r.Event.(interface{ GetObject() *blotterv1.ObjectRef }); ok {
			told = told || versionOf(e.GetObject()) == version{key, info.ETag}
		}
	})
	return err != nil || told
}

func (l *look) copyBytes(ctx context.Context, id dms.FileID, key, want string) error {
	object, err := l.deps.Failed.Open(ctx, key, objects.Version{})
	if errors.Is(err, objects.ErrNotFound) || want == "" {
		return nil // told as gone; or nothing to compare with
	}
	if err != nil {
		return fmt.Errorf("read the copy %s: %w", key, err)
	}
	sum, err := hashOf(ctx, object)
	if err != nil {
		return fmt.Errorf("read the copy %s: %w", key, err)
	}
	if sum != want {
		l.add(Finding{Kind: FailedCopyChanged, FileID: id, Object: key, Detail: fmt.Sprintf("the copy of a quarantined file has the SHA-256 %s, its raw version %s", sum, want),
			Do: "take it away, and `blotter fsck --repair` writes it again from the raw version"})
	}
	return nil
}

// hashOf gives the SHA-256 of an object in hex, and closes it.
func hashOf(ctx context.Context, object objects.Reader) (string, error) {
	sum, err := transform.HashObject(ctx, object)
	return sum, errors.Join(err, object.Close())
}
