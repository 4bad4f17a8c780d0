package dms

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// load is a load file that was modified at a second; its id holds both.
func load(key string, second int64) LoadFile {
	return LoadFile{FileID: FileID(fmt.Sprintf("%s@%d", key, second)), Key: key, LastModified: time.Unix(second, 0), Order: FileOrder(key)}
}

func ids(loads [][]LoadFile) [][]FileID {
	var out [][]FileID
	for _, l := range loads {
		var row []FileID
		for _, f := range l {
			row = append(row, f.FileID)
		}
		out = append(out, row)
	}
	return out
}

func TestGenerations(t *testing.T) {
	tests := []struct {
		name  string
		files []LoadFile
		want  [][]FileID
	}{
		{name: "none"},
		{"one load", []LoadFile{load("L2", 20), load("L1", 10)}, [][]FileID{{"L1@10", "L2@20"}}},
		{"a reload", []LoadFile{load("L1", 10), load("L2", 20), load("L1", 100), load("L2", 110)}, [][]FileID{{"L1@10", "L2@20"}, {"L1@100", "L2@110"}}},
		{"a shorter reload", []LoadFile{load("L1", 10), load("L2", 20), load("L1", 100)}, [][]FileID{{"L1@10", "L2@20"}, {"L1@100"}}},
		{"a reload that grows", []LoadFile{load("L1", 10), load("L1", 100), load("L2", 110)}, [][]FileID{{"L1@10"}, {"L1@100", "L2@110"}}},
		{"a reload that began with its second file", []LoadFile{load("L1", 10), load("L2", 20), load("L2", 100), load("L1", 110)}, [][]FileID{{"L1@10", "L2@20"}, {"L2@100", "L1@110"}}},
		{"three loads of one file", []LoadFile{load("L1", 3), load("L1", 1), load("L1", 2)}, [][]FileID{{"L1@1"}, {"L1@2"}, {"L1@3"}}},
		{"delivered twice", []LoadFile{load("L1", 10), load("L1", 10)}, [][]FileID{{"L1@10"}}},
		{"ties fall to the order", []LoadFile{load("L2", 10), load("L1", 10), load("L3", 10)}, [][]FileID{{"L1@10", "L2@10", "L3@10"}}},
		{"partitions", []LoadFile{load("a/L1", 10), load("b/L1", 11)}, [][]FileID{{"a/L1@10", "b/L1@11"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(Generations(tt.files)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestGenerationsProperties: the set of files decides, not its order; every file
// is in one generation, keys do not repeat in it, and none could begin earlier.
func TestGenerationsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.SliceOf(rapid.Custom(func(t *rapid.T) LoadFile {
			f := load(rapid.SampledFrom([]string{"L1", "L2", "L3"}).Draw(t, "key"), rapid.Int64Range(0, 9).Draw(t, "second"))
			f.FileID += FileID(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "version"))
			return f
		})).Draw(t, "files")
		before := slices.Clone(files)
		loads := Generations(files)
		if !slices.Equal(files, before) {
			t.Fatal("the input was changed")
		}
		if shuffled := rapid.Permutation(files).Draw(t, "shuffled"); !reflect.DeepEqual(loads, Generations(shuffled)) {
			t.Fatalf("%v gives %v, shuffled %v", files, loads, Generations(shuffled))
		}
		all := map[FileID]bool{}
		var last []LoadFile
		for _, l := range loads {
			keys := map[string]bool{}
			for _, f := range l {
				if keys[f.Key] || all[f.FileID] {
					t.Fatalf("%v repeats %v", l, f)
				}
				keys[f.Key], all[f.FileID] = true, true
			}
			if last != nil && !slices.ContainsFunc(last, func(f LoadFile) bool { return f.Key == l[0].Key }) {
				t.Fatalf("%v begins without a repeated key", l)
			}
			last = l
		}
		for _, f := range files {
			if !all[f.FileID] {
				t.Fatalf("%v is lost", f)
			}
		}
	})
}

func TestBind(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	firsts := []time.Time{at(100), at(200), at(300)}
	for second, want := range map[int64]int{0: 0, 99: 0, 100: 0, 199: 0, 200: 1, 201: 1, 299: 1, 300: 2, 999: 2} {
		if got := Bind(firsts, at(second)); got != want {
			t.Errorf("a change of %d binds to %d, want %d", second, got, want)
		}
	}
	if Bind(nil, at(5)) != 0 || Bind(firsts[:1], at(5)) != 0 {
		t.Error("the first generation takes all")
	}
}

func TestLoadGaps(t *testing.T) {
	tests := []struct {
		rels []string
		want []string
	}{
		{nil, nil},
		{[]string{"LOAD00000001.csv"}, nil},
		{[]string{"LOAD00000002.csv", "LOAD00000001.csv", "LOAD00000002.csv.gz"}, nil},
		{[]string{"LOAD00000002.csv"}, []string{"LOAD00000001"}},
		{[]string{"LOAD00000001.csv", "LOAD00000009.csv", "LOAD0000000B.csv", "LOAD00000010.csv"}, []string{"LOAD00000002 to LOAD00000008", "LOAD0000000A", "LOAD0000000C to LOAD0000000F"}},
		{[]string{"SEGMENT1_LOAD00000001.csv", "SEGMENT2_LOAD00000002.csv", "p/LOAD00000001.csv", "q/LOAD00000003.csv"}, []string{"SEGMENT2_LOAD00000001", "q/LOAD00000001 to LOAD00000002"}},
		{[]string{"20221023-013830913.csv"}, nil},
		{[]string{"LOADFFFFFFFFFFFFFFFF.csv", "LOADFFFFFFFFFFFFFFFF.csv"}, []string{"LOAD00000001 to LOADFFFFFFFFFFFFFFFE"}},
	}
	for _, tt := range tests {
		var names []Name
		for _, rel := range tt.rels {
			names = append(names, mustName(t, rel))
		}
		if got := LoadGaps(names); !slices.Equal(got, tt.want) {
			t.Errorf("%v: gaps %q, want %q", tt.rels, got, tt.want)
		}
	}
}
