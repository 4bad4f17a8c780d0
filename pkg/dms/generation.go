package dms

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// LoadFile is a load file of a table, as the rules of generations see it. Its
// key identifies it within a full load: LOAD00000001.csv of two partitions are
// two files, and the same key with new content is a new load, unless an operator
// says otherwise.
type LoadFile struct {
	FileID       FileID
	Key          string
	LastModified time.Time
	Order        FileOrder
	// Rejoins: an operator put it into the load before it, from which the earlier
	// versions of its key were given up. It begins no load.
	Rejoins bool
}

// Generations divides the load files of a table into its full loads, oldest
// first. It is a pure function of the set of files: neither the order in which
// they became known nor a repeated file changes the result. Within a load files
// are in order of LastModified; ties fall to Order, then FileID. A key that the
// load already holds, with another version, begins the next.
func Generations(files []LoadFile) [][]LoadFile {
	sorted := slices.Clone(files)
	slices.SortFunc(sorted, func(a, b LoadFile) int {
		return cmp.Or(a.LastModified.Compare(b.LastModified), cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
	})
	var loads [][]LoadFile
	keys := map[string]bool{}
	known := make(map[FileID]bool, len(sorted))
	for _, f := range sorted {
		if known[f.FileID] {
			continue
		}
		known[f.FileID] = true
		if len(loads) == 0 || keys[f.Key] && !f.Rejoins {
			loads = append(loads, nil)
			clear(keys)
		}
		keys[f.Key] = true
		loads[len(loads)-1] = append(loads[len(loads)-1], f)
	}
	return loads
}

// Newest gives the files of one load without the versions in whose place a later one
// came, in their order.
func Newest(load []LoadFile) []LoadFile {
	newest := make(map[string]FileID, len(load))
	for _, f := range load {
		newest[f.Key] = f.FileID
	}
	return slices.DeleteFunc(slices.Clone(load), func(f LoadFile) bool { return newest[f.Key] != f.FileID })
}

// Bind gives the index of the generation that a change file belongs to: the
// newest whose first load file is not later than the change file. firsts holds
// LastModified of each generation's first load file, ascending. The first
// generation takes all that is older; without any, the answer is 0 too.
func Bind(firsts []time.Time, changeModified time.Time) int {
	for i := len(firsts) - 1; i > 0; i-- {
		if !firsts[i].After(changeModified) {
			return i
		}
	}
	return 0
}

// LoadGaps lists the load files that the numbering says are missing: numbers
// start at 1 in each segment and each partition folder, and the largest number
// seen counts as the last. Each entry names one file, or the first and last of
// an unbroken range: "part=1/LOAD00000003" or "LOAD00000003 to LOAD00000007".
// Other kinds of files are not looked at. The result is sorted.
func LoadGaps(names []Name) []string {
	type series struct {
		folder  string
		segment uint64
	}
	numbers := map[series][]uint64{}
	for _, n := range names {
		if n.Kind == KindLoad {
			s := series{n.Folder, n.Segment}
			numbers[s] = append(numbers[s], n.Number)
		}
	}
	var gaps []string
	for s, have := range numbers {
		slices.Sort(have)
		expect := uint64(1)
		for _, n := range slices.Compact(have) {
			if n > expect {
				first, last := loadName(s.folder, s.segment, expect), loadName("", s.segment, n-1)
				if n-1 > expect {
					first += " to " + last
				}
				gaps = append(gaps, first)
			}
			expect = max(expect, n+1)
		}
	}
	slices.Sort(gaps)
	return gaps
}

// loadName spells the name of a load file as DMS does, without its suffix.
func loadName(folder string, segment, number uint64) string {
	var b strings.Builder
	if folder != "" {
		b.WriteString(folder + "/")
	}
	if segment > 0 {
		fmt.Fprintf(&b, "SEGMENT%d_", segment)
	}
	fmt.Fprintf(&b, "LOAD%08X", number)
	return b.String()
}
