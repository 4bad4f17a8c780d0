package lockmanager

import (
	"slices"
	"testing"
	"time"

	"github.com/openblotter/blotter/pkg/dms"
)

// TestOlderLoads: what an earlier load left behind shows by names and times together.
func TestOlderLoads(t *testing.T) {
	t.Parallel()
	type files map[string]int // minutes
	const later = 11
	for what, tt := range map[string]struct {
		files files
		want  []string
	}{
		"one load":                  {files{"LOAD00000001.csv": 0, "LOAD00000002.csv": 5, "LOAD00000003.csv": 90}, nil},
		"copied by name":            {files{"LOAD0000000A.csv": 0, "LOAD00000001.csv": 3}, nil},
		"a shorter reload":          {files{"LOAD00000001.csv": later, "LOAD00000002.csv": 0}, []string{"LOAD00000002.csv"}},
		"compressed since":          {files{"LOAD00000001.csv": 0, "LOAD00000002.csv": 0, "LOAD00000001.csv.gz": later}, []string{"LOAD00000001.csv", "LOAD00000002.csv"}},
		"wider names since":         {files{"LOAD00000001.csv": 0, "LOAD000000001.csv": later}, []string{"LOAD00000001.csv"}},
		"one number at once":        {files{"LOAD00000001.csv": 0, "LOAD00000001.csv.gz": later - 1}, nil},
		"segments since":            {files{"LOAD00000001.csv": 0, "SEGMENT1_LOAD00000001.csv": later, "SEGMENT2_LOAD00000001.csv": 1}, []string{"LOAD00000001.csv"}},
		"segments no more":          {files{"SEGMENT1_LOAD00000001.csv": 0, "SEGMENT2_LOAD00000001.csv": 2, "LOAD00000001.csv": 2 + later}, []string{"SEGMENT1_LOAD00000001.csv", "SEGMENT2_LOAD00000001.csv"}},
		"segments of one load":      {files{"SEGMENT1_LOAD00000001.csv": 0, "SEGMENT2_LOAD00000001.csv": 90}, nil},
		"folders are loaded apart":  {files{"a/LOAD00000001.csv": 0, "b/SEGMENT1_LOAD00000001.csv": 90}, nil},
		"three spellings of one":    {files{"LOAD1.csv": 0, "LOAD01.csv": later, "LOAD001.csv": 2 * later}, []string{"LOAD01.csv", "LOAD1.csv"}},
		"a number of its own stays": {files{"LOAD00000001.csv": 0, "LOAD00000001.csv.gz": later, "LOAD00000002.csv.gz": later + 1}, []string{"LOAD00000001.csv"}},
	} {
		var final []dms.LoadFile
		for name, minute := range tt.files {
			final = append(final, dms.LoadFile{FileID: dms.FileID(name), Key: "dms/rms/reports/" + name, LastModified: time.Unix(1e9, 0).Add(time.Duration(minute) * time.Minute)})
		}
		var got []string
		for _, f := range olderLoads(final) {
			got = append(got, string(f.FileID))
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v are older, expected %v", what, got, tt.want)
		}
	}
}
