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

// rejoining is a load file that an operator put into the load before it.
func rejoining(key string, second int64) LoadFile {
	f := load(key, second)
	f.Rejoins = true
	return f
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
		{"a file that rejoins", []LoadFile{load("L1", 10), load("L2", 20), rejoining("L1", 100)}, [][]FileID{{"L1@10", "L2@20", "L1@100"}}},
		{"a new name behind one that rejoins", []LoadFile{load("L1", 10), load("L2", 20), rejoining("L1", 100), load("L3", 110)},
			[][]FileID{{"L1@10", "L2@20", "L1@100", "L3@110"}}},
		{"twice given up, then mended", []LoadFile{load("L1", 10), load("L2", 20), rejoining("L1", 100), rejoining("L1", 200)},
			[][]FileID{{"L1@10", "L2@20", "L1@100", "L1@200"}}},
		{"a reload after one that rejoins", []LoadFile{load("L1", 10), load("L2", 20), rejoining("L1", 100), load("L2", 110), load("L1", 120)},
			[][]FileID{{"L1@10", "L2@20", "L1@100"}, {"L2@110", "L1@120"}}},
		{"a file of the reload rejoins", []LoadFile{load("L1", 10), load("L2", 20), load("L1", 100), load("L2", 110), rejoining("L2", 200)},
			[][]FileID{{"L1@10", "L2@20"}, {"L1@100", "L2@110", "L2@200"}}},
		{"one that rejoins what is not known", []LoadFile{rejoining("L1", 10), load("L2", 20)}, [][]FileID{{"L1@10", "L2@20"}}},
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

// TestNewest: of each key the version that came last counts.
func TestNewest(t *testing.T) {
	for name, tt := range map[string]struct{ load, want []LoadFile }{
		"none":               {},
		"each key once":      {[]LoadFile{load("L1", 1), load("L2", 2)}, []LoadFile{load("L1", 1), load("L2", 2)}},
		"one mended":         {[]LoadFile{load("L1", 1), load("L2", 2), rejoining("L1", 9)}, []LoadFile{load("L2", 2), rejoining("L1", 9)}},
		"mended, and again":  {[]LoadFile{load("L1", 1), rejoining("L1", 8), rejoining("L1", 9)}, []LoadFile{rejoining("L1", 9)}},
		"one folder of many": {[]LoadFile{load("a/L1", 1), load("b/L1", 2), rejoining("a/L1", 9)}, []LoadFile{load("b/L1", 2), rejoining("a/L1", 9)}},
	} {
		before := slices.Clone(tt.load)
		if got := Newest(tt.load); !slices.Equal(got, tt.want) || !slices.Equal(tt.load, before) {
			t.Errorf("%s: %v gives %v", name, before, got)
		}
	}
}

// TestGenerationsProperties: the set of files decides, not its order; every file
// is in one generation, keys do not repeat in it unless one rejoins, and none could
// begin earlier.
func TestGenerationsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := rapid.SliceOf(rapid.Custom(func(t *rapid.T) LoadFile {
			f := load(rapid.SampledFrom([]string{"L1", "L2", "L3"}).Draw(t, "key"), rapid.Int64Range(0, 9).Draw(t, "second"))
			f.FileID += FileID(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "version"))
			f.Rejoins = rapid.IntRange(0, 5).Draw(t, "rejoins") == 0
			return f
		})).Draw(t, "files")
		// What is known of a file is known of each delivery of it.
		first := map[FileID]LoadFile{}
		for i, f := range files {
			if known, ok := first[f.FileID]; ok {
				files[i] = known
			}
			first[files[i].FileID] = files[i]
		}
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
				if keys[f.Key] && !f.Rejoins || all[f.FileID] {
					t.Fatalf("%v repeats %v", l, f)
				}
				keys[f.Key], all[f.FileID] = true, true
			}
			if last != nil && (l[0].Rejoins || !slices.ContainsFunc(last, func(f LoadFile) bool { return f.Key == l[0].Key })) {
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
