package main

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
)

// maxHeldNotes bounds the tables of which a run tells that their objects are held.
const maxHeldNotes = 20

// heldNotes tells, while a system runs, that objects are held whose table nobody
// registered: once for each folder, or table of transaction files. A store that does
// not answer costs a note, never the run.
type heldNotes struct {
	specs  func(context.Context) ([]registry.Table, error)
	flags  string
	logger *slog.Logger
	told   map[string]bool
	failed bool // the store did not answer, which is said once
}

// newHeldNotes reads registrations from store whenever there is something to tell.
func newHeldNotes(store control.Store, at site, logger *slog.Logger) *heldNotes {
	return &heldNotes{specs: control.NewSpecs(store).Newest, flags: at.flags(), logger: logger, told: map[string]bool{}}
}

// before tells of what is held from earlier; empty if nothing is, or it is not known.
func (n *heldNotes) before(ctx context.Context, store control.Objects) string {
	held, err := countHeld(ctx, store, control.ObjectHeld)
	if err != nil {
		n.fail(ctx, err)
		return ""
	}
	if held == 0 {
		return ""
	}
	return fmt.Sprintf("%s held from before, of no registered table; see: blotter held list%s", held.are(), n.flags)
}

// fail says, the first time, that a note lacks something.
func (n *heldNotes) fail(ctx context.Context, err error) {
	if n.failed || ctx.Err() != nil { // or the run is over
		return
	}
	n.failed = true
	n.logger.WarnContext(ctx, "what is told of held objects is not complete", "see", "blotter held list"+n.flags, "error", err)
}

// of gives what is to be told of an event; empty if nothing is, or is told already.
func (n *heldNotes) of(ctx context.Context, event proto.Message) string {
	e, ok := event.(*blotterv1.ObjectHeld)
	if !ok || len(n.told) > maxHeldNotes {
		return ""
	}
	if e.GetReason() == ingestrouter.ReasonTakenBack { // whoever took it back was told whether it comes in
		return ""
	}
	what, key := "", wire.ObjectOf(e.GetObject()).Key
	part := wire.PartOf(e.GetPart())
	if part.IsZero() {
		what = "objects in " + folderOf(key)
	} else {
		what = fmt.Sprintf("rows of %s in transaction files", part)
	}
	if n.told[what] {
		return ""
	}
	n.told[what] = true
	if len(n.told) > maxHeldNotes {
		return fmt.Sprintf("objects of more tables are held that are not registered; see: blotter held list%s", n.flags)
	}
	note := fmt.Sprintf("held: %s, of no registered table; see: blotter held list%s", what, n.flags)
	if !part.IsZero() {
		return note
	}
	specs, err := n.specs(ctx)
	if err != nil {
		n.fail(ctx, err)
		return note
	}
	if hint := wrongPrefix(specs, key); hint != "" {
		note += "\n  " + hint
	}
	return note
}

// folderOf is the folder of an object, without those that are dates.
func folderOf(key string) string {
	folder := path.Dir(key)
	for folder != "." && strings.Trim(path.Base(folder), "0123456789-_") == "" {
		folder = path.Dir(folder)
	}
	if folder == "." {
		return "the root"
	}
	return folder + "/"
}
