package archive

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// tree is the RFC 6962 Merkle tree of all leaves so far, of which it holds the few
// hashes that its root and its growth need.
type tree struct {
	r     *compact.Range
	visit compact.VisitFn // is told of every whole node; may be nil
}

func newTree() *tree { return &tree{r: ranges.NewEmptyRange(0)} }

// resumeTree is the tree of size leaves with this frontier, which must give the root.
func resumeTree(size uint64, frontier [][]byte, root []byte) (*tree, error) {
	r, err := ranges.NewRange(0, size, frontier)
	if err != nil {
		return nil, fmt.Errorf("the frontier of the tree: %w", err)
	}
	t := &tree{r: r}
	got, err := t.root()
	if err == nil && !bytes.Equal(got, root) {
		err = errors.New("the frontier of the tree does not give its root")
	}
	return t, err
}

func (t *tree) size() uint64 { return t.r.End() }

func (t *tree) append(leafHash []byte) error { return t.r.Append(leafHash, t.visit) }

// root is the hash of the tree; that of an empty one is the hash of nothing.
func (t *tree) root() ([]byte, error) {
	if t.size() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return t.r.GetRootHash(nil)
}

// frontier gives the hashes of the whole subtrees, largest first.
func (t *tree) frontier() [][]byte {
	out := make([][]byte, 0, len(t.r.Hashes()))
	for _, h := range t.r.Hashes() {
		out = append(out, bytes.Clone(h))
	}
	return out
}

// clone gives a tree that grows by itself.
func (t *tree) clone() (*tree, error) {
	r, err := ranges.NewRange(0, t.size(), t.frontier())
	return &tree{r: r}, err
}
