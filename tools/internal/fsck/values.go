package fsck

import (
	"context"
	"fmt"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/registry"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// legible is a control store that gives nothing that cannot be understood: its error is
// control.ErrValue then, and names what it is.
type legible struct{ control.Store }

func illegible(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", what, control.ErrValue, err)
}

// Table implements control.Store.
func (s legible) Table(ctx context.Context, table dms.TableID) (control.TableItem, error) {
	item, err := s.Store.Table(ctx, table)
	if err != nil {
		return item, err
	}
	if _, err := lockmanager.DecodeState(item.State); err != nil {
		return item, illegible("the state of "+table.String(), err)
	}
	for i, b := range item.Outbox {
		e, err := eventlog.Decode(b)
		if err == nil {
			_, err = e.GetEvent().UnmarshalNew()
		}
		if err != nil {
			return item, illegible(fmt.Sprintf("event %d that is still to be said of %s", i, table), err)
		}
	}
	return item, nil
}

// Files implements control.Store.
func (s legible) Files(ctx context.Context, table dms.TableID, states []string, limit int) ([]control.FileRow, error) {
	return legibleRows(s.Store.Files(ctx, table, states, limit))
}

// LiveFiles implements control.Store.
func (s legible) LiveFiles(ctx context.Context, table dms.TableID) ([]control.FileRow, error) {
	return legibleRows(s.Store.LiveFiles(ctx, table))
}

// File implements control.Store.
func (s legible) File(ctx context.Context, table dms.TableID, id dms.FileID) (control.FileRow, error) {
	row, err := s.Store.File(ctx, table, id)
	if err == nil {
		_, err = legibleRows([]control.FileRow{row}, nil)
	}
	return row, err
}

// Spec implements control.Store.
func (s legible) Spec(ctx context.Context, table dms.TableID, version uint64) (control.Spec, error) {
	spec, err := s.Store.Spec(ctx, table, version)
	if err == nil {
		_, err = registry.ParseTable(spec.JSON)
		err = illegible(fmt.Sprintf("registration %d of %s", spec.Version, table), err)
	}
	return spec, err
}

func legibleRows(rows []control.FileRow, err error) ([]control.FileRow, error) {
	if err != nil {
		return rows, err
	}
	for _, row := range rows {
		if _, err := lockmanager.DecodeFile(row.Body); err != nil {
			return nil, illegible("what is known of file "+string(row.FileID), err)
		}
	}
	return rows, nil
}
