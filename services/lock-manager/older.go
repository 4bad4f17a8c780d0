package lockmanager

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// olderBy is by how much a file must be older than its load before that says
// something. DMS writes the files of a load one after the other and the changes
// after them; but whoever copies a bucket writes them in the order of their names.
const olderBy = 10 * time.Minute

// leftBehind finds what an earlier load seems to have left in the bucket, of a load
// of these files that takes change files of any age: load files as olderLoads gives them,
// and change files that are older than the load. begin is when the load begins without
// them.
func (s *State) leftBehind(final []dms.LoadFile, takesAll bool) (loads []dms.LoadFile, changes []*File, begin dms.LoadFile) {
	loads = olderLoads(final)
	for _, f := range final {
		if !slices.Contains(loads, f) {
			begin = f
			break
		}
	}
	if takesAll {
		changes = s.files(func(f *File) bool {
			return f.Kind == dms.KindChange && f.Mending.IsZero() && f.Status != Ignored && f.Status != Skipped &&
				begin.LastModified.Sub(f.Object.LastModified) > olderBy
		})
	}
	return loads, changes, begin
}

// series is what a load numbers from one on: the files of a segment in a folder.
type series struct {
	folder  string
	segment uint64
}

// olderLoads gives the load files that are older than one which their own load would have
// written before them, or in their place: one with a lower number in the same folder and
// segment, since a reload begins with number 1 and writes over as many files as it needs;
// one with the same number, spelled otherwise (compressed, or wider), which a load writes
// once; and any of a load in segments, where they are of one without, or the reverse.
func olderLoads(final []dms.LoadFile) []dms.LoadFile {
	files := slices.DeleteFunc(slices.Clone(final), func(f dms.LoadFile) bool { return f.Rejoins })
	name := make(map[dms.FileID]dms.Name, len(files))
	newest := map[series]time.Time{}
	for _, f := range files {
		n, _ := dms.ParseName(f.Key, dms.NameRules{})
		name[f.FileID] = n
		of := series{path.Dir(f.Key), n.Segment}
		if f.LastModified.After(newest[of]) {
			newest[of] = f.LastModified
		}
	}
	older := map[dms.FileID]bool{}
	// Of one number the newest stands first, so that the others are behind it.
	slices.SortStableFunc(files, func(a, b dms.LoadFile) int {
		return cmp.Or(cmp.Compare(name[a.FileID].Number, name[b.FileID].Number), b.LastModified.Compare(a.LastModified))
	})
	before := map[series]time.Time{}
	for _, f := range files {
		of := series{path.Dir(f.Key), name[f.FileID].Segment}
		if before[of].Sub(f.LastModified) > olderBy || otherLayout(newest, of).Sub(newest[of]) > olderBy {
			older[f.FileID] = true
		}
		if f.LastModified.After(before[of]) {
			before[of] = f.LastModified
		}
	}
	return slices.DeleteFunc(slices.Clone(final), func(f dms.LoadFile) bool { return !older[f.FileID] })
}

// otherLayout gives when the newest file of the same folder was written whose load was in
// segments, if this series is in none, or the reverse.
func otherLayout(newest map[series]time.Time, of series) (at time.Time) {
	for other, when := range newest {
		if other.folder == of.folder && (other.segment == 0) != (of.segment == 0) && when.After(at) {
			at = when
		}
	}
	return at
}

// tellLeftBehind says what leftBehind found; empty for nothing.
func tellLeftBehind(loads []dms.LoadFile, changes []*File, begin dms.LoadFile) string {
	var said []string
	if len(loads) > 0 {
		said = append(said, fmt.Sprintf("%s older than one that a load writes before it, or in its place, such as %s",
			filesAre(len(loads), "load file"), written(loads[0].Key, loads[0].LastModified)))
	}
	if len(changes) > 0 {
		oldest := slices.MinFunc(changes, func(a, b *File) int { return a.Object.LastModified.Compare(b.Object.LastModified) })
		said = append(said, fmt.Sprintf("%s older than the load, the oldest %s",
			filesAre(len(changes), "change file"), written(oldest.Object.Key, oldest.Object.LastModified)))
	}
	if len(said) == 0 {
		return ""
	}
	return strings.Join(said, "; ") + "; the load begins with " + written(begin.Key, begin.LastModified) +
		". An earlier load of the table may have left them behind"
}

func written(key string, at time.Time) string {
	return fmt.Sprintf("%s (%s)", key, timeOf(at))
}

func timeOf(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }

func filesAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}
