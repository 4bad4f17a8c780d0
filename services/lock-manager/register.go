package lockmanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// registerTable registers a table and, where its settings name a cdc_path, the
// pseudo-table of its database's transaction files. That comes first: a crash in
// between leaves nothing that a table rests on.
func (s *Service) registerTable(ctx context.Context, table dms.TableID, req CommandRequest) (string, error) {
	if req.Spec == nil || req.Spec.ID != table {
		return "", refuse("apply needs the registration of table %s", table)
	}
	if table.IsTransactions() {
		return "", refuse("%s is registered by itself, with a table of its database that names a cdc_path", table)
	}
	if err := req.Spec.Validate(); err != nil {
		return "", refuse("%v", err)
	}
	if req.Check {
		if txn, ok := req.Spec.OfTransactions(); ok {
			if _, err := s.checkOne(ctx, txn); err != nil {
				return "", fmt.Errorf("register %s: %w", txn.ID, err)
			}
		}
		return s.checkOne(ctx, *req.Spec)
	}
	if err := s.registerTransactions(ctx, req); err != nil {
		return "", err
	}
	return s.registerOne(ctx, req.order(), req.Actor, *req.Spec)
}

// checkOne says what registering a table would say, and changes nothing: who applies
// several finds out before the first whether the last is refused.
func (s *Service) checkOne(ctx context.Context, spec registry.Table) (string, error) {
	register, detail, err := s.prepare(ctx, Order{}, spec)
	if err != nil || detail != "" {
		return detail, err
	}
	t := s.table(spec.ID)
	t.mu.Lock()
	defer t.mu.Unlock()
	for range maxConflicts {
		detail, err = s.checkOnce(ctx, t, register)
		if !errors.Is(err, control.ErrConflict) {
			return detail, err
		}
		t.state = nil // another replica has gone on: its copy here is old
	}
	return "", fmt.Errorf("table %s: %w %d times in a row", spec.ID, control.ErrConflict, maxConflicts)
}

// checkOnce is checkOne with the state that is at hand; ErrConflict if it is an old one.
func (s *Service) checkOnce(ctx context.Context, t *table, register Register) (string, error) {
	if err := s.load(ctx, t); err != nil {
		return "", err
	}
	if err := s.unchanged(ctx, t); err != nil {
		return "", err
	}
	defer t.settle(false)
	if err := s.hydrate(ctx, t, Input{Command: register}); err != nil {
		return "", err
	}
	_, detail, err := t.state.register(register)
	return detail, err
}

// registerTransactions brings the registration of transaction files into force
// that follows from a table's. Tables that are applied at once say the same of it:
// whoever is late finds it there.
func (s *Service) registerTransactions(ctx context.Context, req CommandRequest) error {
	spec, ok := req.Spec.OfTransactions()
	if !ok {
		return nil
	}
	order := Order{ID: req.ID + "/" + dms.TransactionTable, Reason: "cdc_path of " + req.Spec.ID.String()}
	var err error
	for range maxConflicts {
		if _, err = s.registerOne(ctx, order, req.Actor, spec); !errors.Is(err, ErrRefused) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("register %s: %w", spec.ID, err)
	}
	return nil
}

// registerOne registers a table unless its registration says nothing new.
func (s *Service) registerOne(ctx context.Context, order Order, actor string, next registry.Table) (string, error) {
	register, detail, err := s.prepare(ctx, order, next)
	if err != nil || detail != "" {
		return detail, err
	}
	return s.Command(ctx, next.ID, actor, register)
}

// prepare gives a registration its version and field ids, from the one in force. It
// gives what is to be said instead where that is the same.
func (s *Service) prepare(ctx context.Context, order Order, next registry.Table) (Register, string, error) {
	none := func(err error) (Register, string, error) { return Register{}, "", err }
	table := next.ID
	var prev *registry.Table
	stored, err := s.deps.Store.Spec(ctx, table, 0)
	switch {
	case err == nil:
		spec, err := registry.ParseTable(stored.JSON)
		if err != nil {
			return none(fmt.Errorf("read the registration of %s in force: %w", table, err))
		}
		prev = &spec
	case !errors.Is(err, control.ErrNotFound):
		return none(fmt.Errorf("read the registration of %s in force: %w", table, err))
	}
	// Whether rows are there that the columns must fit, the table's state tells.
	spec, misfit := registry.AssignIDs(prev, next)
	if prev != nil {
		spec.Version = prev.Version
		before, errBefore := prev.JSON()
		after, errAfter := spec.JSON()
		if err := errors.Join(errBefore, errAfter); err != nil {
			return none(err)
		}
		if string(before) == string(after) {
			return Register{}, fmt.Sprintf("%s is registered like this already, version %d", table, prev.Version), nil
		}
	}
	spec.Version++
	register := Register{Order: order, Spec: spec, Misfit: misfit, Changes: registry.Changes(prev, spec)}
	if prev != nil {
		register.Rekeys, register.Reorders = registry.Rekeys(*prev, spec), registry.Reorders(*prev, spec)
	}
	return register, "", nil
}
