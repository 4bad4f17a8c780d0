package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// maxMeant bounds the tables that may have been meant.
const maxMeant = 3

// knownName is knownTable for a table as it was given; one that is no name of a table is
// left to who reads it.
func knownName(ctx context.Context, at site, name string) error {
	id, err := dms.ParseTableID(name)
	if err != nil {
		return nil
	}
	return knownTable(ctx, at, id)
}

// knownTable refuses a table of which a site knows nothing, and names what was perhaps
// meant.
func knownTable(ctx context.Context, at site, id dms.TableID) (err error) {
	store, err := readStore(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	switch _, err := store.Table(ctx, id); {
	case errors.Is(err, control.ErrNotFound):
		return unknownTable(ctx, store, id)
	case err != nil:
		return fmt.Errorf("read the state of %s: %w", id, err)
	}
	return nil
}

func unknownTable(ctx context.Context, store control.Store, id dms.TableID) error {
	return fmt.Errorf("table %s is not known here%s; see `blotter tables`", id, meant(ctx, store, id))
}

// meantBy is meant for the tables of a site.
func meantBy(ctx context.Context, at site, id dms.TableID) string {
	store, err := readStore(ctx, at)
	if err != nil {
		return ""
	}
	defer func() { _ = store.Close() }()
	return meant(ctx, store, id)
}

// meant asks whether a table was meant whose name is nearly the same; empty if there is
// none, or they cannot be read: it only helps.
func meant(ctx context.Context, store control.Store, id dms.TableID) string {
	known, err := store.Tables(ctx)
	if err != nil {
		return ""
	}
	near := nearTables(known, id)
	if len(near) == 0 {
		return ""
	}
	return ": did you mean " + strings.Join(near, " or ") + "?"
}

// nearTables gives the tables whose names are nearly that of id, the nearest first: up
// to two letters differ, or only the database does.
func nearTables(known []dms.TableID, id dms.TableID) []string {
	type candidate struct {
		name string
		by   int
	}
	var near []candidate
	name, table := registry.FoldName(id.String()), registry.FoldName(id.Table)
	for _, k := range known {
		by := registry.Distance(registry.FoldName(k.String()), name)
		if by > 2 && registry.FoldName(k.Table) == table {
			by = 2
		}
		if k != id && by <= 2 {
			near = append(near, candidate{k.String(), by})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return a.by - b.by })
	var names []string
	for _, c := range near[:min(len(near), maxMeant)] {
		names = append(names, c.name)
	}
	return names
}
