package rebuild

import (
	"slices"

	"github.com/openblotter/blotter/pkg/dms"
)

// again finds what a file stands for that is published once more, since the lake had lost
// its rows: its own publication before, and those of its rows that were mended then. They
// are open again, and may be mended otherwise.
type again struct {
	of     map[dms.FileID]int          // the publication of each file
	mended map[dms.FileID][]dms.FileID // files with mended rows of one
}

func newAgain(h *History) *again {
	a := &again{of: map[dms.FileID]int{}, mended: map[dms.FileID][]dms.FileID{}}
	for i, p := range h.Publications {
		a.note(i, p)
	}
	return a
}

func (a *again) note(i int, p Publication) {
	for _, f := range p.Files {
		a.of[f.ID] = i
		if !f.Mending.IsZero() {
			a.mended[f.Mending.FileID] = append(a.mended[f.Mending.FileID], f.ID)
		}
	}
}

// replace takes what the files of a publication stand for out of those before it.
func (a *again) replace(h *History, p Publication) {
	for _, f := range p.Files {
		if _, before := a.of[f.ID]; !before {
			continue
		}
		a.drop(h, f.ID)
		for _, id := range a.mended[f.ID] {
			a.drop(h, id)
		}
		delete(a.mended, f.ID)
	}
}

func (a *again) drop(h *History, id dms.FileID) {
	i, known := a.of[id]
	if !known {
		return
	}
	p := &h.Publications[i]
	p.Files = slices.DeleteFunc(p.Files, func(f File) bool { return f.ID == id })
	delete(a.of, id)
}
