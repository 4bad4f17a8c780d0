package ingestrouter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

const (
	// stepTimeout bounds the work on one step of a reconcile; the step that is asked
	// for ends long before, unless one object takes that long.
	stepTimeout = 50 * time.Second
	// A step ends after stepObjects objects, or with the first one behind stepFor. What
	// is only passed, as all but load files in the first pass, counts as passedPer
	// times less: each step on a folder reads its names anew.
	stepObjects = 10_000
	stepFor     = 10 * time.Second
	passedPer   = 10
	// reconcileBatch objects are looked up at once.
	reconcileBatch = 256
)

// ReconcileRequest asks for one step of a reconcile: the first one at the zero Place,
// each other one where the step before it ended.
type ReconcileRequest struct {
	ID     string `json:"id"`     // names the reconcile, in all of its steps
	Actor  string `json:"actor"`  // who asks: "operator:<name>" or a program
	Reason string `json:"reason"` // why; it stands in the log
	// Prefix and After bound what is listed: objects whose keys begin with the one and
	// lie behind the other.
	Prefix string `json:"prefix,omitempty"`
	After  string `json:"after,omitempty"`
	// DryRun tells what would be told, and changes nothing.
	DryRun bool  `json:"dry_run,omitempty"`
	At     Place `json:"at"`

	seal *sealing // what the last step says of the tables beside; nil: nothing
}

// sealing makes a reconcile one that is all there is of some tables, which seals their
// open loads. It fails with errIncomplete where something was passed over.
type sealing struct {
	cause  string // as in ListingCompleted
	tables map[dms.TableID]bool
}

// errIncomplete: a listing that was to seal loads has passed something over.
var errIncomplete = errors.New("the listing is not complete, so no load can be sealed by it")

// Pass is a round of a reconcile through what it lists.
type Pass string

// The passes, in order. Load files are told before all else, since their names come
// behind those of changes: these are then held for the load. A dry run has no need of it.
const (
	PassLoads Pass = ""
	PassAll   Pass = "all"
	PassDone  Pass = "done"
)

// Place is where a reconcile stands, and what it has found so far. All of that goes
// from step to step: no process keeps anything of it.
type Place struct {
	Pass Pass   `json:"pass,omitempty"`
	Key  string `json:"key,omitempty"` // of this pass the last that is done
	// Looked counts the objects that were looked at for load files, Listed those that
	// were listed after that: each object once.
	Looked int64 `json:"looked,omitempty"`
	Listed int64 `json:"listed,omitempty"`
	// New counts the objects that no event had told: Tables has those of registered
	// tables, Held and Ignored count the others.
	New     int64                 `json:"new,omitempty"`
	Tables  map[string]TableCount `json:"tables,omitempty"`
	Held    int64                 `json:"held,omitempty"`
	Ignored int64                 `json:"ignored,omitempty"`
	// Passed counts what was passed over: it is being written, cannot be read, or waits
	// for a load file of its table that is. First says of one what it is, and why.
	Passed int64  `json:"passed,omitempty"`
	First  string `json:"first,omitempty"`
	// Unwhole are the tables of which a load file was still being written.
	Unwhole []string `json:"unwhole,omitempty"`
}

// TableCount counts a table's objects.
type TableCount struct {
	Listed int64 `json:"listed,omitempty"`
	New    int64 `json:"new,omitempty"`
}

// Reconcile makes one step: it lists on from where the request stands, tells of what no
// event told, as it comes to it, and answers where it stands then. A step may be asked
// for again, also beside live arrivals: no object is told twice. The last one
// says ListingCompleted, by the name of the reconcile: for each registered table, or,
// where only a part was listed, for those that have objects in it.
func (s *Service) Reconcile(ctx context.Context, r ReconcileRequest) (Place, error) {
	if r.At.Pass == PassDone {
		return r.At, nil
	}
	learn := s.relearn
	if r.At.Pass == PassLoads && r.At.Key == "" && !r.DryRun {
		learn = s.Learn
	}
	if err := learn(ctx); err != nil {
		return r.At, err
	}
	st := step{Service: s, r: r, at: r.At, began: s.deps.Now()}
	st.at.Tables, st.at.Unwhole = maps.Clone(r.At.Tables), slices.Clone(r.At.Unwhole)
	if st.at.Tables == nil {
		st.at.Tables = map[string]TableCount{}
	}
	if r.DryRun {
		st.at.Pass = PassAll
	}
	end, err := st.scan(ctx)
	if err == nil && end {
		err = st.next(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: it did not get on behind %q in time", err, st.at.Key)
	}
	if err != nil {
		return r.At, err
	}
	return st.at, nil
}

// step is one step of a reconcile.
type step struct {
	*Service
	r     ReconcileRequest
	at    Place
	began time.Time
	batch []dms.Object
}

// scan lists on; end tells that it came to the end of the pass.
func (st *step) scan(ctx context.Context) (end bool, err error) {
	left := stepObjects * passedPer
	for sight, err := range st.deps.Raw.ScanAfter(ctx, st.r.Prefix, max(st.at.Key, st.r.After), st.want) {
		if err != nil {
			return false, fmt.Errorf("list the raw bucket: %w", err)
		}
		st.sight(sight)
		late := st.deps.Now().Sub(st.began) >= stepFor
		if len(st.batch) == reconcileBatch || late && len(st.batch) > 0 {
			if err := st.flush(ctx); err != nil {
				return false, err
			}
		}
		if sight.Key == "" {
			continue // it would come to the same again
		}
		st.at.Key = sight.Key
		left--
		if sight.Seen == objects.SeenObject {
			left -= passedPer - 1
		}
		if left <= 0 || late {
			return false, st.flush(ctx)
		}
	}
	return true, st.flush(ctx)
}

// want asks for load files first, and then for all that waits for none.
func (st *step) want(key string, _ bool) bool {
	if isLoad := kindOf(st.registered(), key) == dms.KindLoad; isLoad || st.at.Pass == PassLoads {
		return isLoad
	}
	table, _, ok := st.registered().Match(key)
	return !ok || !slices.Contains(st.at.Unwhole, table.String())
}

// sight takes note of what the listing came to.
func (st *step) sight(sight objects.Sighting) {
	if sight.Seen == objects.SeenNothing {
		return
	}
	if sight.Seen == objects.SeenObject {
		st.batch = append(st.batch, st.object(sight.Info))
	}
	if st.at.Pass == PassLoads {
		st.at.Looked++
		table, _, ok := st.registered().Match(sight.Key)
		if name := table.String(); sight.Seen == objects.SeenUnwhole && ok && kindOf(st.registered(), sight.Key) == dms.KindLoad &&
			!slices.Contains(st.at.Unwhole, name) {
			st.at.Unwhole = append(st.at.Unwhole, name)
		}
		return
	}
	if sight.Key != "" {
		st.at.Listed++
	}
	why := sight.Reason
	switch {
	case sight.Seen == objects.SeenOther:
		why = errors.New("it waits for a load file of its table that is still being written")
	case why == nil:
		return
	}
	if st.at.Passed++; st.at.Passed == 1 {
		st.at.First = why.Error()
		if sight.Key != "" {
			st.at.First = sight.Key + ": " + st.at.First
		}
	}
}

// flush tells of the objects of a batch that no event told.
func (st *step) flush(ctx context.Context) error {
	batch := st.batch
	st.batch = nil
	known, err := st.lookUp(ctx, batch)
	if err != nil {
		return err
	}
	matcher := st.registered()
	for i, o := range batch {
		if table, _, ok := matcher.Match(o.Key); ok && st.at.Pass == PassAll {
			st.count(table, TableCount{Listed: 1})
		}
		it := item{id: identify(matcher, o), object: o}
		v := decideNew(matcher, it, FromListing)
		switch {
		case known[i] == control.ObjectHeld && v.state != control.ObjectHeld: // it was told, and comes in
		case known[i] != "" && known[i] != control.ObjectPending:
			continue
		default:
			st.countNew(v)
		}
		if st.r.DryRun {
			continue
		}
		if err := st.offer(ctx, it, FromListing); err != nil {
			return err
		}
	}
	return nil
}

// lookUp gives the states of objects, "" of those that are not known. The store may be
// far away: the rows are read beside one another.
func (st *step) lookUp(ctx context.Context, batch []dms.Object) ([]control.ObjectState, error) {
	states := make([]control.ObjectState, len(batch))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReads)
	for i, o := range batch {
		group.Go(func() error {
			row, err := st.deps.Objects.Object(ctx, identify(st.registered(), o))
			if errors.Is(err, control.ErrNotFound) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read what is known of %s: %w", o.Key, err)
			}
			states[i] = row.State
			return nil
		})
	}
	return states, group.Wait()
}

func (st *step) count(table dms.TableID, more TableCount) {
	if st.r.seal != nil && !st.r.seal.tables[table] {
		return // nothing is said of it
	}
	n := st.at.Tables[table.String()]
	n.Listed, n.New = n.Listed+more.Listed, n.New+more.New
	st.at.Tables[table.String()] = n
}

func (st *step) countNew(v verdict) {
	st.at.New++
	_, isIgnored := v.event.(*blotterv1.ObjectIgnored)
	switch {
	case v.state == control.ObjectHeld:
		st.at.Held++
	case isIgnored:
		st.at.Ignored++
	default:
		st.count(v.table, TableCount{New: 1})
	}
}

// next goes on to the next pass; the last one ends with the word that all is listed.
func (st *step) next(ctx context.Context) error {
	st.at.Key = ""
	if st.at.Pass == PassLoads {
		st.at.Pass = PassAll
		return nil
	}
	st.at.Pass = PassDone
	if st.r.DryRun {
		return nil
	}
	if st.r.seal != nil && st.at.Passed > 0 {
		return fmt.Errorf("%w: %d files were passed over, such as %s", errIncomplete, st.at.Passed, st.at.First)
	}
	specs, err := st.deps.Specs.Newest(ctx)
	if err != nil {
		return fmt.Errorf("read the registrations: %w", err)
	}
	after, err := st.listingBegan(ctx, st.r.ID)
	if err != nil {
		return err
	}
	part := st.r.Prefix != "" || st.r.After != ""
	seals := cmp.Or(st.r.seal, &sealing{})
	for _, spec := range specs {
		listed := st.at.Tables[spec.ID.String()].Listed
		if part && listed == 0 || st.r.seal != nil && !seals.tables[spec.ID] {
			continue
		}
		_, err := st.deps.Log.PublishOnce(ctx, eventlog.Event{
			Table: spec.ID, Service: ServiceName, ID: eventlog.ID(ServiceName, spec.ID, "listing", st.r.ID),
			Actor: st.r.Actor, Time: st.deps.Now(), After: after,
			Message: &blotterv1.ListingCompleted{ListingId: st.r.ID, Objects: listed, Complete: st.r.seal != nil, Reason: st.r.Reason, Cause: seals.cause},
		})
		if err != nil {
			return fmt.Errorf("say that the listing of %s is complete: %w", spec.ID, err)
		}
	}
	return nil
}
