package lake

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// Mode tells how staged files meet the table.
type Mode uint8

// The modes; the zero value is none of them.
const (
	// Merge merges changes into the rows that are there.
	Merge Mode = iota + 1
	// Replace replaces all rows, and all remembered deletes, by the fold of the parts.
	Replace
)

// Turn is the place of a grant among the commits of a table: its token, and the newest
// before it under which there was a publication or a step of maintenance (0: none, or not
// known), which the table must carry, unless its loss was accepted.
type Turn struct {
	Token, After uint64
	Loss         Loss
}

// Loss is a loss that an operator has accepted: of what was committed under the tokens
// above From, up to To. The zero value is none. It covers no other: a table must carry From,
// and what is committed after To.
type Loss struct{ From, To uint64 }

// after gives the token that the table must carry, 0 for none.
func (t Turn) after() uint64 {
	if t.After <= t.Loss.To {
		return min(t.After, t.Loss.From)
	}
	return t.After
}

// Request is one publication.
type Request struct {
	Spec       registry.Table
	Token      uint64
	After      uint64 // see Turn
	Loss       Loss
	Mode       Mode
	Generation uint64
	Parts      []Part
}

func (r Request) turn() Turn { return Turn{r.Token, r.After, r.Loss} }

// Part names one staged file of a publication.
type Part struct {
	FileID         dms.FileID
	Kind           dms.FileKind
	ManifestKey    string // in the staging bucket
	ManifestSHA256 string // in hex
}

// Publish makes the staged files visible in one commit, or none of them. The
// table is created or evolved if need be. It may be called again, and by many
// at once: for one token there is one commit, and every call gives its Result.
//
// Errors: ErrStale if a newer token is there or this one was fenced; an
// *AuditError if the staged output is wrong, which is final; ErrIncompatible if
// the table cannot follow the registration; ErrSetBack if the table lacks what was
// committed before, unless all its rows are replaced, or its loss is accepted; a
// *DamagedError if it lacks an object; ErrOtherFiles; ErrBusy if other commits always came
// first; any other may pass.
func (l *Lake) Publish(ctx context.Context, req Request) (Result, error) {
	if req.Token == 0 || req.Mode != Merge && req.Mode != Replace {
		return Result{}, fmt.Errorf("publish %s: token or mode is missing", req.Spec.ID)
	}
	r, err := l.attempt(ctx, req.Spec.ID, func() (Result, error) { return l.publishOnce(ctx, req) })
	if err != nil {
		return Result{}, fmt.Errorf("publish %s, token %d: %w", req.Spec.ID, req.Token, err)
	}
	return r, nil
}

// decided tells what the table knows of a token.
func (s tableState) decided(token uint64) (Result, bool, error) {
	switch {
	case s.token < token:
		return Result{}, false, nil
	case s.token > token, s.last.Fenced():
		return Result{}, true, ErrStale
	}
	return s.last, true, nil
}

// published is decided for a publication: the token may have been another grant's.
func (s tableState) published(token uint64) (Result, bool, error) {
	r, done, err := s.decided(token)
	if err == nil && done && r.Maintained != nil {
		return Result{}, true, ErrStale
	}
	return r, done, err
}

// sameFiles fails unless a publication that is there is that of the request.
func sameFiles(r Result, req Request) error {
	same := func(c FileCount, p Part) bool { return c.FileID == p.FileID }
	if !slices.EqualFunc(r.Files, req.Parts, same) {
		return ErrOtherFiles
	}
	return nil
}

// errAgain: the table was changed while the commit was prepared.
var errAgain = errors.New("table was changed")

// attempt tries again, with everything that depends on the table done anew,
// while other commits come first.
func (l *Lake) attempt(ctx context.Context, id dms.TableID, try func() (Result, error)) (Result, error) {
	for n := range l.cfg.CommitAttempts {
		r, err := try()
		if !errors.Is(err, errAgain) {
			return r, l.io.gone(err)
		}
		l.log.InfoContext(ctx, "commit came second", "table", id.String(), "attempt", n+1)
		wait := time.NewTimer(time.Duration(rand.Int64N(int64(10*time.Millisecond) << min(n, 6))))
		select {
		case <-ctx.Done():
			wait.Stop()
			return Result{}, ctx.Err()
		case <-wait.C:
		}
	}
	return Result{}, ErrBusy
}

// publishOnce prepares and commits against the table as it is now.
func (l *Lake) publishOnce(ctx context.Context, req Request) (Result, error) {
	b, err := l.begin(ctx, req)
	if err != nil {
		return Result{}, err
	}
	if r, done, err := b.state.published(req.Token); done {
		if err == nil {
			err = sameFiles(r, req)
		}
		return r, err
	}
	if req.Mode == Merge {
		if err := b.state.follows(b.tbl, req.turn()); err != nil {
			return Result{}, err
		}
	}
	if b.parts, err = l.audit(ctx, req); err != nil {
		return Result{}, err
	}
	if err := b.prepare(); err != nil {
		return Result{}, err
	}
	if err := l.step(StepAudited); err != nil {
		return Result{}, err
	}
	r, err := b.run(ctx)
	if !errors.Is(err, errAgain) {
		return r, err
	}
	state, readErr := b.undo(ctx)
	if readErr != nil {
		return Result{}, readErr
	}
	if r, done, err := state.published(req.Token); done {
		if err == nil {
			err = sameFiles(r, req)
		}
		return r, err
	}
	return Result{}, err
}

// undo takes away what was written for a commit of which the catalog says that it
// came second, and gives the table's state. It believes the table rather than the
// catalog: one whose client repeats a commit by itself may find its own first try
// and call that a conflict. A commit that landed is among the table's snapshots,
// since none expires as young as this one.
func (b *batch) undo(ctx context.Context) (tableState, error) {
	tbl, err := b.lake.load(ctx, b.req.Spec.ID)
	if err != nil {
		return tableState{}, err
	}
	state, err := readState(tbl.Properties())
	if err != nil {
		return tableState{}, err
	}
	if tbl.SnapshotByID(b.snapshotID) == nil {
		b.cleanup(ctx)
	}
	return state, nil
}

// begin loads the table that a request is about and reads its state.
func (l *Lake) begin(ctx context.Context, req Request) (*batch, error) {
	after := req.turn().after()
	if req.Mode == Replace {
		after = 0
	}
	tbl, err := l.loadAfter(ctx, req.Spec, after)
	if err != nil {
		return nil, err
	}
	b := &batch{lake: l, req: req, tbl: tbl}
	if b.state, err = readState(tbl.Properties()); err != nil {
		return nil, err
	}
	return b, nil
}

// prepare finds what the registration and the files change about the table.
func (b *batch) prepare() error {
	var err error
	bare := isBare(b.tbl, b.state)
	if b.evolve, err = planEvolution(b.tbl.Metadata(), bare, b.req.Spec, b.parts); err != nil {
		return err
	}
	if b.req.Mode == Merge && !bare && !sameKey(b.tbl, b.evolve.spec) {
		return fmt.Errorf("%w: its primary key is another one; that takes a full load", ErrIncompatible)
	}
	return b.readSchema()
}

// reshape stages what the registration and the files change about the table.
func (b *batch) reshape(tx *table.Transaction) error {
	rekeyed := !sameKey(b.tbl, b.evolve.spec)
	if err := b.evolve.apply(tx, rekeyed); err != nil {
		return err
	}
	if !rekeyed {
		return nil
	}
	return rekey(tx, b.evolve.spec)
}

// readSchema takes the columns of the table as they will be after the commit.
func (b *batch) readSchema() error {
	tx := b.tbl.NewTransaction()
	if err := b.reshape(tx); err != nil {
		return err
	}
	staged, err := tx.StagedTable()
	if err != nil {
		return fmt.Errorf("read schema: %w", err)
	}
	b.order = staged.Metadata().DefaultSortOrder()
	if b.columns, err = userColumns(staged.Schema()); err != nil {
		return err
	}
	b.key = keyColumns(b.evolve.spec, b.columns)
	b.prov = b.evolve.spec.Provenance
	return nil
}

// commitFailed tells a commit that came second from other failures.
func commitFailed(err error) error {
	if IsStaleCommit(err) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return fmt.Errorf("commit: %w", err)
}

// pin begins the transaction of a commit: it fails unless the table's snapshot
// is still the one of the metadata in which the token was read.
func pin(tbl *table.Table) (*table.Transaction, error) {
	tx := tbl.NewTransaction()
	if err := tx.AssertRefSnapshotID(table.MainBranch); err != nil {
		return nil, fmt.Errorf("pin snapshot: %w", err)
	}
	return tx, nil
}

func decodeHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
