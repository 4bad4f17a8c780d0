package lake_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/registry"
)

// A table that lacks what was committed to it takes no changes and no maintenance, also
// once a fence has brought it past the token that it lacks, until all rows are replaced.
func TestATableThatWasSetBackTakesNoChanges(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	files := 0
	part := func(token uint64, kind dms.FileKind) lake.Part {
		files++
		return w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", files), kind: kind, token: token, changes: []change{report(int64(token), "x", "/1", 1)}})
	}
	refused := func(when string, token, after uint64) {
		t.Helper()
		_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: token, After: after, Mode: lake.Merge, Parts: []lake.Part{part(token, dms.KindChange)}})
		if !errors.Is(err, lake.ErrSetBack) {
			t.Errorf("%s: publish gave %v", when, err)
		}
		if _, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: token, After: after}); !errors.Is(err, lake.ErrSetBack) {
			t.Errorf("%s: maintenance gave %v", when, err)
		}
	}
	refused("no table", 6, 5)
	if _, err := w.lake.Contents(t.Context(), spec.ID); !errors.Is(err, lake.ErrNoTable) {
		t.Errorf("a refused publication leaves %v where no table was", err)
	}

	w.publish(t, spec, 3, lake.Merge, part(3, dms.KindChange))
	refused("an older table", 6, 5)
	if c, err := w.lake.Contents(t.Context(), spec.ID); err != nil || c.Token != 3 || c.Rows != 1 {
		t.Errorf("after refusals the table is at token %d with %d rows, %v", c.Token, c.Rows, err)
	}
	if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 6, After: 5}); err != nil || !r.Fenced() || r.SetBackFrom != 5 {
		t.Fatalf("a fence of a table that was set back gave %+v, %v", r, err)
	}
	refused("fenced past it", 7, 5)
	if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 7}); err != nil || r.SetBackFrom != 5 {
		t.Fatalf("a fence that knows of nothing before it gave %+v, %v", r, err)
	}
	refused("fenced again", 8, 0)

	request := lake.Request{Spec: spec, Token: 8, After: 9, Mode: lake.Replace, Generation: 1, Parts: []lake.Part{part(8, dms.KindLoad)}}
	if r, err := w.lake.Publish(t.Context(), request); err != nil || r.SetBackFrom != 0 || r.TableRows != 1 {
		t.Fatalf("a replacement gave %+v, %v", r, err)
	}
	w.publish(t, spec, 9, lake.Merge, part(9, dms.KindChange))
	if c, err := w.lake.Contents(t.Context(), spec.ID); err != nil || c.SetBackFrom != 0 || c.Rows != 2 {
		t.Errorf("after a replacement the table has %d rows and lacks what was before %d, %v", c.Rows, c.SetBackFrom, err)
	}
}

// A table whose loss was accepted goes on from what is there, or anew; what is lost after
// that is a loss of its own, also of what it still had.
func TestALossThatWasAccepted(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	files := 0
	merge := func(turn lake.Turn) (lake.Result, error) {
		files++
		part := w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", files), kind: dms.KindChange, token: turn.Token, changes: []change{report(int64(files), "x", "/1", 1)}})
		return w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: turn.Token, After: turn.After, Loss: turn.Loss, Mode: lake.Merge, Parts: []lake.Part{part}})
	}
	refused := func(turn lake.Turn, to uint64) {
		t.Helper()
		_, err := merge(turn)
		if back := (*lake.SetBackError)(nil); !errors.Is(err, lake.ErrSetBack) || !errors.As(err, &back) || back.To != to {
			t.Errorf("%+v gives %v, expected that it is set back to %d", turn, err, to)
		}
	}
	drop := func() {
		t.Helper()
		if err := w.catalog.DropTable(t.Context(), lake.Identifier(spec.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := merge(lake.Turn{Token: 3}); err != nil {
		t.Fatal(err)
	}
	refused(lake.Turn{Token: 6, After: 5}, 3)
	if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 6, After: 5}); err != nil || r.SetBackFrom != 5 || r.SetBackTo != 3 {
		t.Fatalf("a fence gave %+v, %v", r, err)
	}
	refused(lake.Turn{Token: 7, After: 5}, 3) // a fence adds nothing to what is there
	refused(lake.Turn{Token: 7, After: 5, Loss: lake.Loss{From: 2, To: 4}}, 3)
	accepted := lake.Loss{From: 3, To: 7}
	if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 7, After: 5, Loss: accepted}); err != nil || r.SetBackFrom != 0 {
		t.Errorf("a fence after the word gave %+v, %v", r, err)
	}
	drop() // before anything is committed: what it had is lost, too
	refused(lake.Turn{Token: 8, After: 5, Loss: accepted}, 0)
	if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 8, After: 5, Loss: accepted}); err != nil || r.SetBackFrom != 8 || r.SetBackTo != 0 {
		t.Errorf("a fence of what was lost on top of it gave %+v, %v", r, err)
	}
	refused(lake.Turn{Token: 9, After: 5, Loss: accepted}, 0)
	accepted = lake.Loss{From: 0, To: 9}
	if r, err := merge(lake.Turn{Token: 10, After: 5, Loss: accepted}); err != nil || r.TableRows != 1 || r.SetBackFrom != 0 {
		t.Fatalf("with all of it accepted it gives %+v, %v", r, err)
	}
	if _, err := w.lake.Maintain(t.Context(), spec, lake.Turn{Token: 11, After: 10, Loss: accepted}); err != nil {
		t.Errorf("maintenance gives %v", err)
	}
	drop()
	refused(lake.Turn{Token: 12, After: 11, Loss: accepted}, 0)
	if r, err := merge(lake.Turn{Token: 13, After: 11, Loss: lake.Loss{From: 0, To: 12}}); err != nil || r.TableRows != 1 {
		t.Errorf("with that accepted, too, it gives %+v, %v", r, err)
	}
}

// A table whose current snapshot somebody has made an older one lacks rows, whatever its
// properties say.
func TestATableThatWasRolledBackTakesNoChanges(t *testing.T) {
	w := newWorld(t, lake.DefaultConfig())
	spec := reports()
	merge := func(token uint64) error {
		part := w.stage(t, spec, stagedSpec{file: fmt.Sprint("f", token), kind: dms.KindChange, token: token, changes: []change{report(int64(token), "x", "/1", 1)}})
		_, err := w.lake.Publish(t.Context(), lake.Request{Spec: spec, Token: token, After: token - 1, Mode: lake.Merge, Parts: []lake.Part{part}})
		return err
	}
	for token := range uint64(3) {
		if err := merge(token + 1); err != nil {
			t.Fatal(err)
		}
	}
	w.rollBack(t, spec)
	err := merge(4)
	if back := (*lake.SetBackError)(nil); !errors.Is(err, lake.ErrSetBack) || !errors.As(err, &back) || back.To != 2 {
		t.Errorf("publish gave %v", err)
	}
	if c, err := w.lake.Contents(t.Context(), spec.ID); err != nil || c.SetBackFrom != 3 || c.SetBackTo != 2 {
		t.Errorf("its contents say that it was set back from %d to %d, %v", c.SetBackFrom, c.SetBackTo, err)
	}
	if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 4, After: 3}); err != nil || r.SetBackFrom != 3 {
		t.Errorf("a fence gave %+v, %v", r, err)
	}
	if err := merge(5); !errors.Is(err, lake.ErrSetBack) {
		t.Errorf("after a fence, publish gave %v", err)
	}
}

// rollBack makes the snapshot before the current one of a table the current one.
func (w *world) rollBack(t *testing.T, spec registry.Table) {
	t.Helper()
	tbl, err := w.catalog.LoadTable(t.Context(), lake.Identifier(spec.ID))
	if err != nil {
		t.Fatal(err)
	}
	tx := tbl.NewTransaction()
	if err := tx.RollbackToSnapshot(*tbl.CurrentSnapshot().ParentSnapshotID); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A delete that was rolled back is in the table's memory still. Once it comes again, it
// takes the row away that the rollback brought back.
func TestADeleteComesAgainAfterARollback(t *testing.T) {
	for name, fenced := range map[string]bool{"at once": false, "after a fence": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, lake.DefaultConfig())
			spec := reports()
			part := func(token uint64, file, pos string, deleted bool) lake.Part {
				c := report(1, "x", pos, 1)
				if c.deleted = deleted; deleted {
					c.values = c.values[:1]
				}
				return w.stage(t, spec, stagedSpec{file: file, kind: dms.KindChange, token: token, changes: []change{c, report(2, "y", pos, 2)}})
			}
			w.publish(t, spec, 1, lake.Merge, part(1, "f1", "/1", false))
			w.publish(t, spec, 2, lake.Merge, part(2, "f2", "/2", true))
			w.rollBack(t, spec)
			turn := lake.Turn{Token: 4, After: 2, Loss: lake.Loss{From: 1, To: 3}}
			if fenced {
				if r, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 3, After: 2}); err != nil || r.SetBackTo != 1 {
					t.Fatalf("a fence gave %+v, %v", r, err)
				}
			}
			r, err := w.lake.Publish(t.Context(), lake.Request{
				Spec: spec, Token: turn.Token, After: turn.After, Loss: turn.Loss, Mode: lake.Merge, Parts: []lake.Part{part(4, "f2", "/2", true)},
			})
			if err != nil || r.TableRows != 1 {
				t.Fatalf("it gives %+v, %v", r, err)
			}
			if c, err := w.lake.Contents(t.Context(), spec.ID); err != nil || c.Rows != 1 || c.SetBackFrom != 0 {
				t.Errorf("the table has %d rows and was set back from %d, %v", c.Rows, c.SetBackFrom, err)
			}
		})
	}
}
