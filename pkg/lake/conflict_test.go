package lake_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	ice "github.com/apache/iceberg-go/table"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lake"
)

// repeatingCatalog is one whose client tries a commit again by itself: the first
// try lands, its answer is lost, and the second finds the table changed.
type repeatingCatalog struct {
	lake.Catalog
	loses int    // answers of commits that landed
	first func() // what happens before the next commit
	then  func() // what happens before the conflict is told
}

func (c *repeatingCatalog) CommitTable(ctx context.Context, id ice.Identifier, reqs []ice.Requirement, updates []ice.Update) (ice.Metadata, string, error) {
	if first := c.first; first != nil {
		c.first = nil
		first()
	}
	meta, location, err := c.Catalog.CommitTable(ctx, id, reqs, updates)
	if err != nil || c.loses == 0 {
		return meta, location, err
	}
	c.loses--
	if c.then != nil {
		c.then()
	}
	return nil, "", fmt.Errorf("%w: the table was changed", ice.ErrCommitFailed)
}

func (c *repeatingCatalog) LoadTable(ctx context.Context, id ice.Identifier) (*ice.Table, error) {
	t, err := c.Catalog.LoadTable(ctx, id)
	if err != nil {
		return nil, err
	}
	return ice.New(id, t.Metadata(), t.MetadataLocation(), t.FS, c), nil
}

// repeating opens the lake of a world behind a catalog that loses the answer of
// the next commit.
func (w *world) repeating(t *testing.T, then func()) *lake.Lake {
	t.Helper()
	l, err := lake.Open(t.Context(), w.cfg, lake.Deps{
		Catalog: &repeatingCatalog{Catalog: w.catalog, loses: 1, then: then}, IO: w.io, Staging: w.staging})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestACommitThatLandedAndIsToldAsSecond is found, also by the last attempt, and
// nothing of it is taken away.
func TestACommitThatLandedAndIsToldAsSecond(t *testing.T) {
	cfg := delta()
	cfg.CommitAttempts = 1
	w := newWorld(t, cfg)
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: many(1, 11, "a", "/l")}))
	request := lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: []lake.Part{
		w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{report(1, "b", "/1", 1), removal(2, "/1", 2)}})}}
	r, err := w.repeating(t, nil).Publish(t.Context(), request)
	if err != nil || r.Token != 2 || len(r.Files) != 1 || r.TableRows != 9 {
		t.Fatalf("publish gives %+v, %v", r, err)
	}
	if rows := w.rows(t, spec.ID); len(rows) != 9 || rows[0] != "1|b|-49.00" {
		t.Errorf("the table holds %v", rows)
	}
}

// TestACommitComesSecondToOtherFiles of the same token, which a system that was set back
// granted twice: that is told, and no success.
func TestACommitComesSecondToOtherFiles(t *testing.T) {
	cfg := delta()
	cfg.CommitAttempts = 1
	w := newWorld(t, cfg)
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: many(1, 3, "a", "/l")}))
	part := func(file string) []lake.Part {
		return []lake.Part{w.stage(t, spec, stagedSpec{file: file, kind: dms.KindChange, token: 2, changes: []change{report(1, file, "/1", 1)}})}
	}
	ours, others := part("ours"), part("others")
	l, err := lake.Open(t.Context(), w.cfg, lake.Deps{IO: w.io, Staging: w.staging, Catalog: &repeatingCatalog{Catalog: w.catalog, first: func() {
		w.publish(t, spec, 2, lake.Merge, others[0])
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := l.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: ours}); !errors.Is(err, lake.ErrOtherFiles) {
		t.Errorf("publish gives %+v, %v", r, err)
	}
	expect(t, w.rows(t, spec.ID), "1|others|-49.00", "2|a|-48.00")
}

// TestAStepThatLandedAndIsToldAsSecond likewise.
func TestAStepThatLandedAndIsToldAsSecond(t *testing.T) {
	cfg := delta()
	cfg.CommitAttempts = 1
	w := newWorld(t, cfg)
	spec := reports()
	token := w.churn(t, spec, 30, 14)
	before := w.rows(t, spec.ID)
	r, err := w.repeating(t, nil).Maintain(t.Context(), spec, lake.Turn{Token: token + 1})
	if err != nil || r.Token != token+1 || r.Maintained == nil || r.Maintained.Step != lake.MaintainCompact {
		t.Fatalf("maintain gives %+v, %v", r, err)
	}
	expect(t, w.rows(t, spec.ID), before...)
}

// TestACommitThatLandedAndWasFollowed by a fence before the conflict was told
// leaves its files too.
func TestACommitThatLandedAndWasFollowed(t *testing.T) {
	w := newWorld(t, delta())
	spec := reports()
	w.publish(t, spec, 1, lake.Replace, w.stage(t, spec, stagedSpec{file: "l", kind: dms.KindLoad, token: 1, changes: many(1, 11, "a", "/l")}))
	part := w.stage(t, spec, stagedSpec{file: "c", kind: dms.KindChange, token: 2, changes: []change{report(1, "b", "/1", 1), removal(2, "/1", 2)}})
	l := w.repeating(t, func() {
		if _, err := w.lake.Fence(t.Context(), spec, lake.Turn{Token: 3}); err != nil {
			t.Error(err)
		}
	})
	if r, err := l.Publish(t.Context(), lake.Request{Spec: spec, Token: 2, Mode: lake.Merge, Parts: []lake.Part{part}}); err == nil {
		t.Fatalf("publish gives %+v under a stale token", r)
	}
	if n := len(w.rows(t, spec.ID)); n != 9 {
		t.Errorf("%d rows", n)
	}
}
