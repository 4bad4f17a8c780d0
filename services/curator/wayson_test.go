package curator

import (
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/transform"
)

// TestWaysOn: reading a file again is offered only where something can come of it, and
// mended rows are offered to be mended anew.
func TestWaysOn(t *testing.T) {
	table := dms.TableID{DB: "rms", Table: "reports"}
	mended := dms.File{Mending: dms.Mending{FileID: "of", Rows: "2"}}
	for _, test := range []struct {
		name string
		code string
		file dms.File
		want []string
	}{
		{"a bad row", transform.CodeColumnCount, dms.File{}, []string{"--retry   # read this same file again, once its registration is mended", "--skip    # go on without it; written again"}},
		{"an object that is gone", transform.CodeObjectGone, dms.File{}, []string{"--retry   # read it again, once the object is put back", "--skip"}},
		{"an object that was written again", transform.CodeObjectChanged, dms.File{}, []string{"--skip    # go on without it; the version that is there now is a file of its own"}},
		{"mended rows", transform.CodeColumnCount, mended, []string{"--retry", "--skip    # go on without it; its rows are set aside still", "blotter rejected export"}},
	} {
		got := waysOn(table, test.file, test.code)
		if len(got) != len(test.want) {
			t.Errorf("%s: %q, expected %q", test.name, got, test.want)
			continue
		}
		for i, want := range test.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: %q, expected %q", test.name, got[i], want)
			}
		}
	}
}
