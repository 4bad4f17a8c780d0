package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// checkTogether refuses registrations that cannot stand beside those in force:
// each file of registrations is checked by itself when it is read, but two tables
// in one folder may come from two files, or with days between.
func checkTogether(ctx context.Context, store control.Store, specs []registry.Table) error {
	inForce, err := control.NewSpecs(store).Newest(ctx)
	if err != nil {
		return fmt.Errorf("read the registrations in force: %w", err)
	}
	known := make(map[dms.TableID]bool, len(specs))
	for _, spec := range specs {
		if known[spec.ID] {
			return fmt.Errorf("table %s stands in two of the files", spec.ID)
		}
		known[spec.ID] = true
	}
	// What is applied takes the place of what is in force; the pseudo-tables of
	// transaction files follow from the others.
	all := slices.DeleteFunc(inForce, func(t registry.Table) bool { return known[t.ID] || t.ID.IsTransactions() })
	if err := registry.CheckTogether(append(all, specs...)); err != nil {
		return fmt.Errorf("the tables cannot be registered side by side, nothing is applied: %w", err)
	}
	return nil
}

// registerAll registers tables by ask, which carries out one request and gives what is
// said, an error if it is refused. All are checked before the first is registered: if
// one is refused, none is registered, and all refusals are told.
func registerAll(specs []registry.Table, reason string, ask func(lockmanager.CommandRequest) (string, error)) (said []string, err error) {
	var refused []error
	for _, check := range []bool{true, false} {
		for _, spec := range specs {
			detail, err := ask(lockmanager.CommandRequest{Table: spec.ID.String(), Spec: &spec, Reason: reason, Check: check})
			switch {
			case err != nil && !check:
				return said, fmt.Errorf("register %s: %w", spec.ID, err)
			case err != nil:
				refused = append(refused, fmt.Errorf("register %s: %w", spec.ID, err))
			case !check:
				said = append(said, detail)
			}
		}
		if len(refused) > 0 {
			return nil, fmt.Errorf("nothing is applied: %w", errors.Join(refused...))
		}
	}
	return said, nil
}

// checkWithFolder is checkTogether with what is in force in a folder, if a system
// has used it.
func checkWithFolder(ctx context.Context, at site, specs []registry.Table) (err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return checkTogether(ctx, store, specs)
}
