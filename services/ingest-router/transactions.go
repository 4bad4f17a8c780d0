package ingestrouter

import (
	"context"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// split offers each part of a transaction file, in the order of their first rows,
// for the table whose rows it holds. Told again it says nothing again.
//
// A part comes this one way only: no listing finds it later. So the registrations
// are read anew before one is held, since another replica may have heard of them;
// and once more after it, since a table may have been registered in between, when
// whoever looks for held objects did not yet find it.
func (s *Service) split(ctx context.Context, of dms.TableID, e *blotterv1.TransactionSplit) error {
	file := wire.FileOf(e.GetFile())
	items := make([]item, 0, len(e.GetParts()))
	for _, p := range wire.TransactionPartsOf(e.GetParts()) {
		part := dms.Part{FileID: file.ID, Schema: p.Schema, Table: p.Table}
		items = append(items, item{id: part.ID(), object: file.Object, part: part, db: of.DB})
	}
	if s.holdsAny(items) {
		if err := s.relearn(ctx); err != nil {
			return err
		}
	}
	for _, it := range items {
		if err := s.offer(ctx, it, FromTransaction); err != nil {
			return err
		}
	}
	if !s.holdsAny(items) {
		return nil
	}
	if err := s.relearn(ctx); err != nil {
		return err
	}
	for _, it := range items {
		if err := s.offer(ctx, it, FromTransaction); err != nil {
			return err
		}
	}
	return nil
}

// holdsAny reports whether one of the items would be held, as far as is known.
func (s *Service) holdsAny(items []item) bool {
	matcher := s.registered()
	for _, it := range items {
		if decideNew(matcher, it, FromTransaction).state == control.ObjectHeld {
			return true
		}
	}
	return false
}
