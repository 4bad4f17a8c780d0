package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// reasonDismissed is why an object is ignored that an operator does not want,
// ReasonTakenBack why one is held again.
const (
	reasonDismissed = "dismissed"
	ReasonTakenBack = "taken_back"
)

const (
	// dismissTimeout bounds the work on one request.
	dismissTimeout = time.Minute
	// dismissBatch objects are decided about in one request, and as many more as
	// dismissFor leaves time for: each request lists all that there are.
	dismissBatch = 500
	dismissFor   = 15 * time.Second
)

// DismissRequest has held objects ignored, or takes that back.
type DismissRequest struct {
	Actor  string `json:"actor"`  // who: "operator:<name>"
	Reason string `json:"reason"` // why; it stands in the log, and must be given
	// Objects names them: a key, a folder that ends in a slash, or <schema>.<table> for
	// the rows that one table has in transaction files.
	Objects string `json:"objects"`
	// Database and Schema tell tables apart that have the same <schema>.<table>; empty:
	// there is one.
	Database string `json:"database,omitempty"`
	Schema   string `json:"schema,omitempty"`
	// TakeBack has objects that were ignored in this way be held again.
	TakeBack bool `json:"take_back,omitempty"`
}

// Dismissed is the answer.
type Dismissed struct {
	// Objects counts what is ignored from now on, or held again.
	Objects int64 `json:"objects"`
	// Already counts, where nothing that is meant was ignored any more, what was held
	// already: an earlier request took it back, and may have failed after that.
	Already int64 `json:"already,omitempty"`
	// Arrived counts what of it came in at once, since its table is registered by now.
	Arrived int64 `json:"arrived,omitempty"`
	// Changed counts what was meant, but was decided about otherwise in between: its
	// table was registered, or another operator was faster.
	Changed int64 `json:"changed,omitempty"`
	// More: there are more of them; ask again.
	More    bool   `json:"more,omitempty"`
	Refused string `json:"refused,omitempty"` // why nothing was done, and what to do
}

// Dismiss says of held objects that they are ignored, or takes it back, of so many at
// once. They stay ignored when their table is registered later; other versions of them
// are objects of their own. A name that may mean several tables is refused with all of
// them, and so is that of a transaction file: what is held of one are rows of tables.
func (s *Service) Dismiss(ctx context.Context, r DismissRequest) (Dismissed, error) {
	switch {
	case r.Reason == "":
		return Dismissed{Refused: "say why with --reason: it stands in the log"}, nil
	case r.Objects == "":
		return Dismissed{Refused: "name a key, a folder with a slash at its end, or <schema>.<table>"}, nil
	}
	state := control.ObjectHeld
	if r.TakeBack {
		state = control.ObjectDismissed
	}
	rows, err := s.allIn(ctx, state)
	if err != nil {
		return Dismissed{}, err
	}
	named, err := s.inDatabases(ctx, rows, r)
	if err != nil {
		return Dismissed{}, err
	}
	var done Dismissed
	meant, why := r.meant(named)
	if len(named) == 0 {
		why += r.near(rows)
	}
	if r.TakeBack && !slices.ContainsFunc(named, r.means) {
		done.Already, err = s.takeIn(ctx, r, &done)
		if err == nil && done.Already == 0 {
			done.Refused = why
		}
		return done, err
	}
	if why != "" {
		return Dismissed{Refused: why}, nil
	}
	began := s.deps.Now()
	for i, row := range meant {
		if i >= dismissBatch && s.deps.Now().Sub(began) >= dismissFor {
			done.More = true
			break
		}
		if err := s.dismissOne(ctx, row.ObjectRow, r, state, &done); err != nil {
			return done, fmt.Errorf("decide about %s: %w", row.Object.Key, err)
		}
	}
	if r.TakeBack {
		known, err := s.takeIn(ctx, r, &done)
		if err != nil {
			return done, err
		}
		// What is held no more came in by another hand: whoever looks for held objects was faster.
		done.Arrived += max(0, done.Objects-known)
	}
	if done.Objects == 0 && !done.More {
		done.Refused = fmt.Sprintf("of what %q names, all %d changed in the meantime: their table was registered, or another operator "+
			"decided about them; see `blotter held list` and `blotter log %s`", r.Objects, done.Changed, dms.RawTable)
	}
	return done, nil
}

// allIn lists all objects in a state: the batch grows until it holds them all.
func (s *Service) allIn(ctx context.Context, state control.ObjectState) ([]control.ObjectRow, error) {
	for limit := resumeBatch; ; limit *= 2 {
		rows, err := s.deps.Objects.ObjectsIn(ctx, state, limit)
		if err != nil {
			return nil, fmt.Errorf("list %s objects: %w", state, err)
		}
		if len(rows) < limit {
			return rows, nil
		}
	}
}

// dismissOne decides about one object. A conflict is a repeated delivery, which changes
// nothing, or a decision of somebody else, which stands.
func (s *Service) dismissOne(ctx context.Context, row control.ObjectRow, r DismissRequest, state control.ObjectState, done *Dismissed) error {
	for range maxConflicts {
		v := dismissed(row, r)
		if r.TakeBack {
			v = takenBack(row, r)
		}
		err := s.tell(ctx, row, v)
		if err == nil {
			done.Objects++
			return nil
		}
		if !errors.Is(err, control.ErrConflict) {
			return err
		}
		if row, err = s.deps.Objects.Object(ctx, row.FileID); err != nil {
			return fmt.Errorf("read what is known of the object: %w", err)
		}
		if row.State != state {
			done.Changed++
			return nil
		}
	}
	return fmt.Errorf("%w %d times in a row", control.ErrConflict, maxConflicts)
}

// takeIn counts what is held of the objects that a request means, and takes in what of
// it belongs to tables that are registered by now, so many at once: what was just taken
// back, and what an earlier request left that failed in between. The registrations are
// read before: another replica may have heard of the newest, and it saw nothing held. known
// counts all that it found.
func (s *Service) takeIn(ctx context.Context, r DismissRequest, done *Dismissed) (known int64, err error) {
	if err := s.relearn(ctx); err != nil {
		return 0, err
	}
	arrived, err := s.sayPending(ctx, r)
	if err != nil {
		return 0, err
	}
	done.Arrived += arrived
	rows, err := s.rowsOf(ctx, r, control.ObjectHeld)
	if err != nil {
		return 0, err
	}
	matcher, taken := s.registered(), 0
	for _, row := range rows {
		it := item{id: row.FileID, object: row.Object, part: row.Part, db: row.db}
		if decideNew(matcher, it, FromListing).state == control.ObjectHeld {
			continue
		}
		if taken == dismissBatch {
			done.More = true
			break
		}
		taken++
		if err := s.offer(ctx, it, FromListing); err != nil {
			return 0, fmt.Errorf("take in what is held again: %w", err)
		}
		done.Arrived++
	}
	return arrived + int64(len(rows)), nil
}

// sayPending says what a request that failed left unsaid of the objects that this one
// means, and counts those that came in by it.
func (s *Service) sayPending(ctx context.Context, r DismissRequest) (arrived int64, err error) {
	rows, err := s.rowsOf(ctx, r, control.ObjectPending)
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		err := s.takeUp(ctx, row.ObjectRow)
		if err == nil {
			row.ObjectRow, err = s.deps.Objects.Object(ctx, row.FileID)
		}
		if err != nil {
			return 0, fmt.Errorf("say what is pending of %s: %w", row.Object.Key, err)
		}
		if row.State == control.ObjectTold {
			arrived++
		}
	}
	return arrived, nil
}

// rowsOf gives the objects in a state that a request means, load files first.
func (s *Service) rowsOf(ctx context.Context, r DismissRequest, state control.ObjectState) ([]namedRow, error) {
	rows, err := s.allIn(ctx, state)
	if err != nil {
		return nil, err
	}
	named, err := s.inDatabases(ctx, rows, r)
	if err != nil {
		return nil, err
	}
	named = slices.DeleteFunc(named, func(row namedRow) bool { return !r.means(row) })
	slices.SortStableFunc(named, func(a, b namedRow) int { return s.loadsFirst(a.Object.Key) - s.loadsFirst(b.Object.Key) })
	return named, nil
}

// dismissed and takenBack are named by the revision of the row: an object may be given
// up, taken back and given up again.
func dismissed(row control.ObjectRow, r DismissRequest) verdict {
	v := ignored(row.FileID, row.Object, dms.NotData{Reason: reasonDismissed, Detail: r.Reason})
	v.name, v.parts, v.actor = "dismissed", revisionOf(row), r.Actor
	v.state = control.ObjectDismissed
	if !row.Part.IsZero() {
		v.event.(*blotterv1.ObjectIgnored).Part = wire.Part(row.Part)
	}
	return v
}

func takenBack(row control.ObjectRow, r DismissRequest) verdict {
	held := &blotterv1.ObjectHeld{FileId: string(row.FileID), Object: wire.Object(row.Object), Reason: ReasonTakenBack, Detail: r.Reason}
	if !row.Part.IsZero() {
		held.Part = wire.Part(row.Part)
	}
	return verdict{table: dms.RawTable, name: "taken-back", parts: revisionOf(row), event: held, state: control.ObjectHeld, actor: r.Actor}
}

func revisionOf(row control.ObjectRow) []string {
	return []string{string(row.FileID), strconv.FormatUint(row.Revision, 10)}
}
