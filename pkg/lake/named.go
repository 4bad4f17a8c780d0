package lake

import (
	"fmt"
	"unique"

	"github.com/apache/iceberg-go/table"
	lru "github.com/hashicorp/golang-lru/v2"
)

// rememberedLists is of how many manifest lists and manifests it is remembered what
// they name, those that were used last, and rememberedNames how much each may name
// to be worth it: most hold a few names of some 100 bytes, so that a full memory
// takes some 5 MB; were all of them as long as can be, 100 MB.
const (
	rememberedLists = 16_384
	rememberedNames = 64
)

// namedObjects remembers the locations that manifest lists and manifests name.
// Neither ever changes.
type namedObjects struct {
	lists *lru.Cache[string, []string]
}

func newNamedObjects() (namedObjects, error) {
	lists, err := lru.New[string, []string](rememberedLists)
	if err != nil {
		return namedObjects{}, fmt.Errorf("remember what manifests name: %w", err)
	}
	return namedObjects{lists}, nil
}

func (n namedObjects) keep(location string, names []string) {
	if len(names) > rememberedNames {
		return
	}
	kept := make([]string, len(names))
	for i, name := range names {
		kept[i] = unique.Make(name).Value() // the lists of a table share most of their names
	}
	n.lists.Add(location, kept)
}

// each calls name for all that a snapshot's manifest list and its manifests name,
// but for manifests that are among read, to which it adds.
func (n namedObjects) each(io *IO, s table.Snapshot, read map[string]bool, name func(string)) error {
	if n.recall(s, read, name) {
		return nil
	}
	manifests, err := s.Manifests(io)
	if err != nil {
		return fmt.Errorf("read the manifests of snapshot %d: %w", s.SnapshotID, err)
	}
	var listed []string
	for _, m := range manifests {
		listed = append(listed, m.FilePath())
		if read[m.FilePath()] {
			continue
		}
		read[m.FilePath()] = true
		name(m.FilePath())
		var files []string
		for entry, err := range m.Entries(io, true) {
			if err != nil {
				return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
			}
			name(entry.DataFile().FilePath())
			if len(files) <= rememberedNames {
				files = append(files, entry.DataFile().FilePath())
			}
		}
		n.keep(m.FilePath(), files)
	}
	n.keep(s.ManifestList, listed)
	return nil
}

// recall is each from memory alone; false if that lacks something.
func (n namedObjects) recall(s table.Snapshot, read map[string]bool, name func(string)) bool {
	manifests, ok := n.lists.Get(s.ManifestList)
	if !ok {
		return false
	}
	for _, m := range manifests {
		if read[m] {
			continue
		}
		files, ok := n.lists.Get(m)
		if !ok {
			return false
		}
		read[m] = true
		name(m)
		for _, f := range files {
			name(f)
		}
	}
	return true
}
