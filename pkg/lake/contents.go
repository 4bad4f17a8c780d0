package lake

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// Contents is what a table consists of. It holds no value of a row: of keys it
// tells only how many files have keys in the same range.
type Contents struct {
	Location string `json:"location"`
	Rows     int64  `json:"rows"`  // live, by the metadata
	Bytes    int64  `json:"bytes"` // of data and delete files of the newest snapshot
	Token    uint64 `json:"token"` // of the last commit
	// SetBackFrom is as in Result; also that of a table which was set back since.
	SetBackFrom uint64 `json:"set_back_from,omitempty"`
	// SetBackTo is as in Result.
	SetBackTo  uint64           `json:"set_back_to,omitempty"`
	DataFiles  []DataFileInfo   `json:"data_files"`
	Deletes    []DeleteFileInfo `json:"delete_files"`
	Manifests  []ManifestInfo   `json:"manifests"`
	Snapshots  []SnapshotInfo   `json:"snapshots"` // oldest first
	Tombstones []TombstoneInfo  `json:"remembered_deletes"`
	// MetadataFiles counts the versions of the metadata that the table names.
	MetadataFiles int     `json:"metadata_files"`
	Orphans       Orphans `json:"orphans"`
	// Due are the steps of maintenance that are due, the first to be taken first;
	// Next is when one will be by the passing of time alone (zero: never).
	Due  []Due     `json:"due"`
	Next time.Time `json:"next,omitzero"`
}

// DataFileInfo is one data file of the newest snapshot. Files stand in the order
// of their lowest keys.
type DataFileInfo struct {
	Path        string `json:"path"` // in the warehouse
	Rows        int64  `json:"rows"` // deleted ones among them
	Bytes       int64  `json:"bytes"`
	Deleted     int64  `json:"deleted"`      // rows that delete files hide, by the metadata
	DeleteFiles int    `json:"delete_files"` // that apply to it
	// Overlaps counts the other data files that may hold keys of the same range.
	Overlaps int `json:"overlaps"`
	// Sorted: by the key, as maintenance needs it. Other engines write otherwise.
	Sorted bool `json:"sorted"`
}

// DeleteFileInfo is one position-delete file of the newest snapshot.
type DeleteFileInfo struct {
	Path      string `json:"path"`
	Rows      int64  `json:"rows"` // positions
	Bytes     int64  `json:"bytes"`
	DataFiles int    `json:"data_files"` // that it may apply to; 0: it hides nothing
}

// ManifestInfo is one manifest of data files of the newest snapshot.
type ManifestInfo struct {
	Path  string `json:"path"`
	Files int    `json:"files"` // live ones
	Bytes int64  `json:"bytes"`
}

// SnapshotInfo is one snapshot that can still be read.
type SnapshotInfo struct {
	ID       int64     `json:"id"`
	Time     time.Time `json:"time"`     // UTC
	Strategy string    `json:"strategy"` // of another engine's: its operation
	Token    string    `json:"token,omitempty"`
	Current  bool      `json:"current,omitempty"`
	Named    bool      `json:"named,omitempty"` // see Result.Named
}

// TombstoneInfo is one file of remembered deletes.
type TombstoneInfo struct {
	Path  string `json:"path"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// Orphans counts the objects in the table's folders that nothing refers to.
type Orphans struct {
	Searched time.Time `json:"searched,omitzero"` // when maintenance searched last
	Old      int64     `json:"old"`               // that maintenance may remove
	OldBytes int64     `json:"old_bytes"`
	Young    int64     `json:"young"` // that a commit under way may yet name
}

// Contents tells what a table consists of, by its metadata and by what lies in
// its folders; ErrNoTable if there is no such table.
func (l *Lake) Contents(ctx context.Context, id dms.TableID) (Contents, error) {
	u, err := l.lookAt(ctx, id)
	if err != nil {
		return Contents{}, err
	}
	c := Contents{
		Location: u.tbl.Location(), Rows: u.before.rows, Token: u.state.token, SetBackFrom: u.state.setBackFrom(u.tbl, Turn{}), Due: u.due(), Next: u.next(),
		DataFiles: u.dataFiles(), Deletes: u.deleteFiles(), Manifests: []ManifestInfo{}, Snapshots: u.snapshots(), Tombstones: []TombstoneInfo{},
		MetadataFiles: 1,
	}
	if c.SetBackFrom > 0 {
		c.SetBackTo = u.state.carries(u.tbl)
	}
	for _, m := range u.manifests {
		c.Manifests = append(c.Manifests, ManifestInfo{Path: u.lake.keyOf(m.FilePath()), Files: int(m.AddedDataFiles() + m.ExistingDataFiles()), Bytes: m.Length()})
	}
	for _, t := range u.state.tombstones {
		c.Tombstones = append(c.Tombstones, TombstoneInfo{Path: t.Key, Rows: t.Rows, Bytes: t.Bytes})
	}
	for range u.tbl.Metadata().PreviousFiles() {
		c.MetadataFiles++
	}
	for _, f := range c.DataFiles {
		c.Bytes += f.Bytes
	}
	for _, f := range c.Deletes {
		c.Bytes += f.Bytes
	}
	s, err := u.sweepFolders(ctx)
	if err != nil {
		return Contents{}, fmt.Errorf("look at table %s: %w", id, err)
	}
	c.Orphans = Orphans{Searched: u.state.orphans.Scanned, Old: int64(len(s.orphans)) + s.left, OldBytes: s.bytes, Young: s.young}
	if c.Due == nil {
		c.Due = []Due{}
	}
	return c, nil
}

// keyOf is the key of a location, or the location where it lies elsewhere.
func (l *Lake) keyOf(location string) string {
	if key, err := l.io.Key(location); err == nil {
		return key
	}
	return location
}

func (u *upkeep) dataFiles() []DataFileInfo {
	out := []DataFileInfo{}
	overlaps := u.overlaps()
	for i, f := range u.before.files {
		out = append(out, DataFileInfo{
			Path: u.lake.keyOf(f.FilePath()), Rows: f.Count(), Bytes: f.FileSizeBytes(), Deleted: u.deletedOf(f),
			DeleteFiles: len(f.deletes), Overlaps: overlaps[i], Sorted: f.sorted,
		})
	}
	return out
}

// overlaps counts, for each data file, the others whose key range meets its own:
// all but those that end before it begins or begin after it ends.
func (u *upkeep) overlaps() []int {
	files := u.before.files
	out := make([]int, len(files))
	if len(u.key) == 0 {
		return out
	}
	lows, highs := make([][]byte, len(files)), make([][]byte, 0, len(files))
	for i, f := range files {
		lows[i] = f.low
		if f.high != nil {
			highs = append(highs, f.high)
		}
	}
	slices.SortFunc(lows, bytes.Compare)
	slices.SortFunc(highs, bytes.Compare)
	for i, f := range files {
		before, _ := slices.BinarySearchFunc(highs, f.low, bytes.Compare)
		after := 0
		if f.high != nil {
			n, _ := slices.BinarySearchFunc(lows, f.high, func(low, high []byte) int {
				if bytes.Compare(low, high) <= 0 || bytes.HasPrefix(low, high) {
					return -1
				}
				return 1
			})
			after = len(lows) - n
		}
		out[i] = len(files) - 1 - before - after
	}
	return out
}

func (u *upkeep) deleteFiles() []DeleteFileInfo {
	out := []DeleteFileInfo{}
	for _, d := range u.deletes {
		out = append(out, DeleteFileInfo{Path: u.lake.keyOf(d.FilePath()), Rows: d.Count(), Bytes: d.FileSizeBytes(), DataFiles: d.uses})
	}
	slices.SortFunc(out, func(a, b DeleteFileInfo) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

func (u *upkeep) snapshots() []SnapshotInfo {
	out := []SnapshotInfo{}
	current := u.tbl.CurrentSnapshot()
	for _, s := range u.tbl.Metadata().Snapshots() {
		info := SnapshotInfo{ID: s.SnapshotID, Time: time.UnixMilli(s.TimestampMs).UTC(), Current: current != nil && current.SnapshotID == s.SnapshotID}
		if s.Summary != nil {
			info.Strategy = cmp.Or(s.Summary.Properties[SummaryStrategy], string(s.Summary.Operation))
			info.Token = s.Summary.Properties[PropertyToken]
			info.Named = s.Summary.Properties[SummaryNamed] == "true"
		}
		out = append(out, info)
	}
	slices.SortStableFunc(out, func(a, b SnapshotInfo) int { return a.Time.Compare(b.Time) })
	return out
}
