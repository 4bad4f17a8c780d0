package ingestrouter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Deletion is one deletion of an object, as a notification tells of it.
type Deletion struct {
	Bucket string
	Key    string // the true key, never URL-encoded
	// VersionID is the version that is gone, or with Marker the delete marker that
	// hides the others; empty where the bucket keeps no versions.
	VersionID string
	Marker    bool
	// Sequencer orders the events of one key; of no use but to tell them apart.
	Sequencer string
	Time      time.Time // when it happened
	Expired   bool      // a lifecycle rule did it
}

// ID is the identity of the deletion. A version is deleted once, so it tells
// where it is known; and to remove a delete marker, which brings the object
// back, is no deletion beyond the one that made it.
func (d Deletion) ID() dms.FileID {
	h := sha256.New()
	for _, part := range append([]string{"deletion", d.Bucket, d.Key}, d.event()...) {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return dms.FileID(hex.EncodeToString(h.Sum(nil)[:16]))
}

func (d Deletion) event() []string {
	switch {
	case d.VersionID != "":
		return []string{"version", d.VersionID}
	case d.Sequencer != "":
		return []string{"sequencer", d.Sequencer}
	}
	return []string{"time", d.Time.UTC().Format(time.RFC3339Nano)}
}

// Delete tells of one deletion; it returns when what follows from it is in the
// log. A deletion that is told again says nothing.
func (s *Service) Delete(ctx context.Context, d Deletion) error {
	for range maxConflicts {
		err := s.deleteOnce(ctx, d)
		if err == nil {
			return nil
		}
		if !errors.Is(err, control.ErrConflict) {
			return fmt.Errorf("tell of the deletion of %s: %w", d.Key, err)
		}
	}
	return fmt.Errorf("tell of the deletion of %s: %w %d times in a row", d.Key, control.ErrConflict, maxConflicts)
}

func (s *Service) deleteOnce(ctx context.Context, d Deletion) error {
	row, err := s.deps.Objects.Object(ctx, d.ID())
	switch {
	case errors.Is(err, control.ErrNotFound):
	case err != nil:
		return fmt.Errorf("read what is known of the deletion: %w", err)
	case row.State == control.ObjectPending:
		_, err := s.publish(ctx, row)
		return err
	default:
		return nil
	}
	if _, _, ok := s.registered().Match(d.Key); !ok {
		// As for an object that is to be held: this process may not have heard of its table.
		if err := s.relearnIfOlder(ctx, s.fresh); err != nil {
			return err
		}
	}
	seen, err := s.seen(ctx, d)
	if err != nil {
		return err
	}
	v := decideDeleted(s.registered(), d, seen)
	object := dms.Object{Bucket: d.Bucket, Key: d.Key, VersionID: d.VersionID}
	return s.tell(ctx, control.ObjectRow{FileID: d.ID(), Object: object, Deliveries: 1}, v)
}

// seen gives what is known of the version that is gone; a zero row if nothing.
func (s *Service) seen(ctx context.Context, d Deletion) (control.ObjectRow, error) {
	if d.VersionID == "" || d.Marker {
		return control.ObjectRow{}, nil
	}
	id := identify(s.registered(), dms.Object{Bucket: d.Bucket, Key: d.Key, VersionID: d.VersionID})
	row, err := s.deps.Objects.Object(ctx, id)
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return row, fmt.Errorf("read what is known of the deleted version: %w", err)
	}
	return row, nil
}

// decideDeleted says what a deletion is: of a file of a registered table, or of
// something that is no table's. seen is what is known of the version that is
// gone.
func decideDeleted(matcher *registry.Matcher, d Deletion, seen control.ObjectRow) verdict {
	e := &blotterv1.ObjectDeleted{
		FileId: string(seen.FileID), DeletionId: string(d.ID()), Reason: "deleted", Source: string(FromEvent),
		Object: &blotterv1.ObjectRef{Bucket: d.Bucket, Key: d.Key},
	}
	if d.Expired {
		e.Reason = "expired"
	}
	if !d.Marker {
		e.Object.VersionId = d.VersionID
	}
	if seen.FileID != "" {
		e.Object = wire.Object(seen.Object)
	}
	v := verdict{table: dms.RawTable, name: "deleted", parts: []string{string(d.ID())}, state: control.ObjectTold, event: e}
	if table, rel, ok := matcher.Match(d.Key); ok {
		place := dms.InTable
		if table.IsTransactions() {
			place = dms.InTransactions
		}
		if _, why := dms.ParseName(rel, dms.NameRules{Place: place}); why == nil {
			v.table = table
		}
	}
	return v
}
