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
	if err := s.registerTransactions(ctx, req); err != nil {
		return "", err
	}
	return s.registerOne(ctx, req.order(), req.Actor, *req.Spec)
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

// registerOne gives a registration its version and field ids, from the one in
// force, and registers it unless it says nothing new.
func (s *Service) registerOne(ctx context.Context, order Order, actor string, next registry.Table) (string, error) {
	table := next.ID
	var prev *registry.Table
	stored, err := s.deps.Store.Spec(ctx, table, 0)
	switch {
	case err == nil:
		spec, err := registry.ParseTable(stored.JSON)
		if err != nil {
			return "", fmt.Errorf("read the registration of %s in force: %w", table, err)
		}
		prev = &spec
	case !errors.Is(err, control.ErrNotFound):
		return "", fmt.Errorf("read the registration of %s in force: %w", table, err)
	}
	// Whether rows are there that the columns must fit, the table's state tells.
	spec, misfit := registry.AssignIDs(prev, next)
	if prev != nil {
		spec.Version = prev.Version
		before, errBefore := prev.JSON()
		after, errAfter := spec.JSON()
		if err := errors.Join(errBefore, errAfter); err != nil {
			return "", err
		}
		if string(before) == string(after) {
			return fmt.Sprintf("%s is registered like this already, version %d", table, prev.Version), nil
		}
	}
	spec.Version++
	register := Register{Order: order, Spec: spec, Misfit: misfit}
	if prev != nil {
		register.NeedsReload = registry.NeedsReload(*prev, spec)
	}
	return s.Command(ctx, table, actor, register)
}
