package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
)

// Proof shows that events stand in the log whose tree a signed checkpoint names. It
// needs nothing beside it but the verifier key.
type Proof struct {
	Format string `json:"format"`
	// Of is whose events these are, as it was asked for.
	Of string `json:"of"`
	// Checkpoint is a signed note: C2SP tlog-checkpoint.
	Checkpoint string   `json:"checkpoint"`
	Events     []Proven `json:"events"`
}

// Proven is one event, its place in the tree, and the way to the root.
type Proven struct {
	Index uint64   `json:"index"` // of the leaf: the sequence of the event less one
	Leaf  []byte   `json:"leaf"`  // the bytes of the leaf, see Leaf.Append
	Path  [][]byte `json:"path"`  // the RFC 6962 audit path, from the leaf up
}

const (
	proofFormat = "blotter-proof/v1"
	// maxProven bounds the events of a proof, which is held in memory.
	maxProven = 10_000
	// MaxProof bounds the bytes of a proof.
	MaxProof = 256 << 20
)

// ErrNothing: the archive holds no such event.
var ErrNothing = errors.New("the archive holds no such event")

// Prove proves the events that are wanted: it goes through the archive, which it
// verifies, and over the hashes of its leaves once more, for the paths.
func Prove(ctx context.Context, bucket objects.Bucket, keys Keys, of string, wanted func(eventlog.Record) bool) (*Proof, *Report, error) {
	p := &Proof{Format: proofFormat, Of: of}
	report, err := Verify{Bucket: bucket, Keys: keys}.run(ctx, func(l Leaf) error {
		if l.Gap {
			return nil
		}
		r, err := l.Record()
		if err != nil || !wanted(r) {
			return nil // an event that cannot be decoded is nobody's
		}
		if len(p.Events) == maxProven {
			return fmt.Errorf("more than %d events: name them more narrowly", maxProven)
		}
		p.Events = append(p.Events, Proven{Index: l.Index(), Leaf: l.Append(nil)})
		return nil
	})
	if err != nil {
		return nil, report, err
	}
	if len(p.Events) == 0 {
		return nil, report, ErrNothing
	}
	p.Checkpoint = report.Checkpoint
	return p, report, p.paths(ctx, store{bucket, keys}, report)
}

// paths fills in the audit paths.
func (p *Proof) paths(ctx context.Context, s store, report *Report) error {
	need := make(map[compact.NodeID][]byte)
	nodes := make([]proof.Nodes, len(p.Events))
	for i, e := range p.Events {
		var err error
		if nodes[i], err = proof.Inclusion(e.Index, report.Size); err != nil {
			return fmt.Errorf("the path of leaf %d: %w", e.Index, err)
		}
		for _, id := range nodes[i].IDs {
			need[id] = nil
		}
	}
	note := func(id compact.NodeID, hash []byte) {
		if _, ok := need[id]; ok {
			need[id] = bytes.Clone(hash)
		}
	}
	if err := grow(ctx, s, report, note); err != nil {
		return err
	}
	var err error
	for i := range p.Events {
		hashes := make([][]byte, len(nodes[i].IDs))
		for j, id := range nodes[i].IDs {
			hashes[j] = need[id]
		}
		if p.Events[i].Path, err = nodes[i].Rehash(hashes, rfc6962.DefaultHasher.HashChildren); err != nil {
			return fmt.Errorf("the path of leaf %d: %w", p.Events[i].Index, err)
		}
	}
	return nil
}

// grow makes the tree of a verified archive once more, of the hashes beside its leaves,
// and has visit be told of every node of it.
func grow(ctx context.Context, s store, report *Report, visit compact.VisitFn) error {
	type hashed struct {
		LeafHash [sha256.Size]byte `parquet:"leaf_hash"`
	}
	t := newTree()
	t.visit = visit
	for n := range report.Spans {
		c, _, err := s.checkpoint(ctx, n)
		if err != nil {
			return err
		}
		f, err := s.span(ctx, c)
		if err != nil {
			return err
		}
		for h, err := range readRows[hashed](f.file) {
			if err == nil {
				err = t.append(h.LeafHash[:])
			}
			if err != nil {
				return fmt.Errorf("read %s of the archive: %w", keyOfSpan(n), err)
			}
		}
	}
	root, err := t.root()
	if err != nil {
		return fmt.Errorf("the root of the tree: %w", err)
	}
	if head := report.Head(); !bytes.Equal(root, head.Root[:]) {
		return wrong("", 0, "it changed while the paths were looked for")
	}
	return nil
}

// Encode gives the one form of a proof.
func (p *Proof) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the proof: %w", err)
	}
	return append(b, '\n'), nil
}

// Check checks a proof by itself, and gives the events that it proves, in the order of
// the log, and the checkpoint. Every byte counts: a proof that Encode would not have
// written as it stands is refused. It proves what is there, not that nothing is left out.
func Check(b []byte, keys Keys) (*Proof, []eventlog.Record, Checkpoint, error) {
	var p Proof
	var c Checkpoint
	refuse := func(format string, args ...any) (*Proof, []eventlog.Record, Checkpoint, error) {
		return nil, nil, c, &Wrong{Object: "the proof", What: fmt.Sprintf(format, args...)}
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return refuse("it is no proof: %s", err)
	}
	if p.Format != proofFormat {
		return refuse("its form is %q, this program knows %q", p.Format, proofFormat)
	}
	if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
		return refuse("it does not stand in the form in which it was written: it was changed since")
	}
	c, err := OpenCheckpoint([]byte(p.Checkpoint), keys.Verifiers)
	if err != nil {
		return refuse("its checkpoint: %s", err)
	}
	if len(p.Events) == 0 {
		return refuse("it has no event")
	}
	var out []eventlog.Record
	for i, e := range p.Events {
		l, err := ParseLeaf(e.Leaf)
		switch {
		case err != nil:
			return refuse("event %d: %s", i+1, err)
		case l.Gap || l.Seq == 0 || l.Index() != e.Index:
			return refuse("event %d: leaf %d is of sequence %d", i+1, e.Index, l.Seq)
		case i > 0 && e.Index <= p.Events[i-1].Index:
			return refuse("event %d: leaf %d stands after leaf %d", i+1, e.Index, p.Events[i-1].Index)
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, e.Index, c.Size, hashLeaf(e.Leaf), e.Path, c.Root[:]); err != nil {
			return refuse("event %d, of sequence %d, is not in the tree that was signed: %s", i+1, l.Seq, err)
		}
		r, err := l.Record()
		if err != nil {
			return refuse("event %d: %s", i+1, err)
		}
		out = append(out, r)
	}
	return &p, out, c, nil
}
