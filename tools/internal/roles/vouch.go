package roles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// ErrStoreAltered: a registration in the control store is not the one that was registered,
// or what is still to be said of a table is no event. Files that were read by it would give other rows, so nothing goes on with it.
var ErrStoreAltered = errors.New("the control store was altered")

// alteredDo says what to do about it.
const alteredDo = "Restore the store from a backup, or move it away and write it anew from the log: blotter replay --rebuild"

// vouchedSize bounds the registrations of which it is remembered that they were vouched for.
const vouchedSize = 16384

// vouched is a control store that gives no registration but the one that was registered.
// The log says which: each has its bytes in a TableRegistered. For what is not said yet,
// or was trimmed, the hash in the table's state stands. That is asked once for each
// version in a process; after that a hash of the bytes tells.
type vouched struct {
	Store
	log   *eventlog.Log
	known *lru.Cache[registration, [sha256.Size]byte]
}

type registration struct {
	table   dms.TableID
	version uint64
}

var _ control.Store = (*vouched)(nil)

func newVouched(store Store, log *eventlog.Log) *vouched {
	known, err := lru.New[registration, [sha256.Size]byte](vouchedSize)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &vouched{Store: store, log: log, known: known}
}

// Spec is that of the store; ErrStoreAltered, which is permanent, if it was not registered so.
func (v *vouched) Spec(ctx context.Context, table dms.TableID, version uint64) (control.Spec, error) {
	spec, err := v.Store.Spec(ctx, table, version)
	if err != nil {
		return spec, err
	}
	key, sum := registration{table, spec.Version}, sha256.Sum256(spec.JSON)
	if known, ok := v.known.Get(key); ok && known == sum {
		return spec, nil
	}
	want, by, err := v.registered(ctx, key)
	if err != nil {
		return control.Spec{}, fmt.Errorf("ask which registration %d of %s was said: %w", spec.Version, table, err)
	}
	if want != "" && want != hex.EncodeToString(sum[:]) {
		return control.Spec{}, eventlog.Permanent(fmt.Errorf("%w: registration %d of %s has SHA-256 %x there, and %s %s. %s",
			ErrStoreAltered, spec.Version, table, sum, by, want, alteredDo))
	}
	v.known.Add(key, sum)
	return spec, nil
}

// registered gives the SHA-256 of a registration in hex, and who says so; nothing where
// neither the stream nor the state tells of that version any more.
func (v *vouched) registered(ctx context.Context, of registration) (sum, by string, err error) {
	newest, found, err := v.log.Newest(ctx, of.table, lockmanager.ServiceName, registeredEvent)
	if err != nil {
		return "", "", err
	}
	if found {
		if sum, says := saidOf(newest, of.version); says {
			return sum, "in the log", nil
		}
	}
	item, err := v.Table(ctx, of.table)
	if err != nil {
		return "", "", fmt.Errorf("read the state of %s: %w", of.table, err)
	}
	state, err := lockmanager.DecodeState(item.State)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("read the state of %s: %w", of.table, err)
	case state.SpecVersion == of.version:
		return state.SpecSHA256, "in the table's state", nil
	case state.SpecVersion < of.version:
		return "none", fmt.Sprintf("by the table's state, which is at version %d of it,", state.SpecVersion), nil
	}
	for r, err := range v.log.Few(ctx, of.table, lockmanager.ServiceName, registeredEvent) {
		if err != nil {
			return "", "", err
		}
		if sum, says := saidOf(r, of.version); says {
			return sum, "in the log", nil
		}
	}
	return "", "", nil
}

// registeredEvent is the name of the event that tells of a registration.
const registeredEvent = "TableRegistered"

// saidOf gives the SHA-256 of the registration in a TableRegistered, if it is of that version.
func saidOf(r eventlog.Record, version uint64) (string, bool) {
	e, ok := r.Event.(*blotterv1.TableRegistered)
	if !ok || e.GetSpecVersion() != version {
		return "", false
	}
	sum := sha256.Sum256(e.GetSpecJson())
	return hex.EncodeToString(sum[:]), true
}

// inForce tells how the registration in force differs from the one that the table's state
// is of, in version or hash. Another replica may go on meanwhile: see agreeOn.
func (v *vouched) inForce(ctx context.Context, table dms.TableID) (differs, err error) {
	spec, err := v.Spec(ctx, table, 0)
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return nil, fmt.Errorf("read the registration of %s: %w", table, err)
	}
	item, err := v.Table(ctx, table)
	if errors.Is(err, control.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", table, err)
	}
	state, err := lockmanager.DecodeState(item.State)
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", table, err)
	}
	sum := sha256.Sum256(spec.JSON)
	if state.SpecVersion != spec.Version || spec.Version > 0 && state.SpecSHA256 != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%w: the newest registration of %s there is version %d with SHA-256 %x, and the table's state says version %d with %s. %s",
			ErrStoreAltered, table, spec.Version, sum, state.SpecVersion, state.SpecSHA256, alteredDo), nil
	}
	return nil, nil
}
