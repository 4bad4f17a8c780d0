package main

import (
	"context"
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// maxHeldNotes bounds the tables of which a run tells that their objects are held.
const maxHeldNotes = 20

// heldNotes tells, while a system runs, that objects are held whose table nobody
// registered: once for each folder, or table of transaction files.
type heldNotes struct {
	specs func(context.Context) ([]registry.Table, error)
	flags string
	told  map[string]bool
}

// newHeldNotes reads registrations from store whenever there is something to tell.
func newHeldNotes(store control.Store, at site) *heldNotes {
	return &heldNotes{specs: control.NewSpecs(store).Newest, flags: at.flags(), told: map[string]bool{}}
}

// before tells of what is held from earlier; empty if nothing is.
func (n *heldNotes) before(ctx context.Context, store control.Objects) (string, error) {
	held, err := countHeld(ctx, store, control.ObjectHeld)
	if err != nil || held == 0 {
		return "", err
	}
	return fmt.Sprintf("%s held from before, of no registered table; see: blotter held list%s", held.are(), n.flags), nil
}

// of gives what is to be told of an event; empty if nothing is, or is told already.
func (n *heldNotes) of(ctx context.Context, event proto.Message) (string, error) {
	e, ok := event.(*blotterv1.ObjectHeld)
	if !ok || len(n.told) > maxHeldNotes {
		return "", nil
	}
	what, key := "", wire.ObjectOf(e.GetObject()).Key
	part := wire.PartOf(e.GetPart())
	if part.IsZero() {
		what = "objects in " + folderOf(key)
	} else {
		what = fmt.Sprintf("rows of %s in transaction files", part)
	}
	if n.told[what] {
		return "", nil
	}
	n.told[what] = true
	if len(n.told) > maxHeldNotes {
		return fmt.Sprintf("objects of more tables are held that are not registered; see: blotter held list%s", n.flags), nil
	}
	note := fmt.Sprintf("held: %s, of no registered table; see: blotter held list%s", what, n.flags)
	if !part.IsZero() {
		return note, nil
	}
	specs, err := n.specs(ctx)
	if err != nil {
		return "", err
	}
	if hint := wrongPrefix(specs, key); hint != "" {
		note += "\n  " + hint
	}
	return note, nil
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
