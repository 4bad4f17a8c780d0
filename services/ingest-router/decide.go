package ingestrouter

import (
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Source says how an object became known.
type Source string

// The sources. A notification that repeats is an event of its own; the others
// repeat what is there by their nature, and say nothing new.
const (
	FromEvent       Source = "event"
	FromListing     Source = "listing"
	FromTransaction Source = "transaction" // the split of a transaction file, which may be told again as well
)

// verdict is what is to be said of an object.
type verdict struct {
	table dms.TableID
	name  string // name and parts name the event for the table
	parts []string
	event proto.Message
	state control.ObjectState // once the event is told
	actor string              // who brought it about; empty: the service
}

// file is the file that the event is about; empty if it is about none.
func (v verdict) file() string {
	if e, ok := v.event.(interface{ GetFileId() string }); ok {
		return e.GetFileId()
	}
	return ""
}

// identify gives the identity of an object. Whether it is a load file counts
// for it, and its name tells that wherever it lies.
func identify(matcher *registry.Matcher, o dms.Object) dms.FileID {
	return dms.NewFileID(o, kindOf(matcher, o.Key))
}

// kindOf tells the kind of a data file by its name; 0 for any other object.
func kindOf(matcher *registry.Matcher, key string) dms.FileKind {
	rel := key
	if _, below, ok := matcher.Match(key); ok {
		rel = below
	}
	name, _ := dms.ParseName(rel, dms.NameRules{Place: dms.Anywhere})
	return name.Kind
}

// item is what may arrive: one version of an object, or one table's part of a
// transaction file.
type item struct {
	id     dms.FileID
	object dms.Object
	part   dms.Part // zero for a whole object
	db     string   // of a part: the database whose transaction file it is of
}

// decideNew says what an item is that was not seen before, or that was held
// because its table was not registered.
func decideNew(matcher *registry.Matcher, it item, source Source) verdict {
	if it.part.IsZero() {
		return decideObject(matcher, it.id, it.object, source)
	}
	return decidePart(matcher, it, source)
}

// decidePart says whose rows a part holds: those of a table in the database of
// its transaction file.
func decidePart(matcher *registry.Matcher, it item, source Source) verdict {
	file, part := string(it.id), wire.Part(it.part)
	if it.part.IsControl() {
		v := ignored(it.id, it.object, dms.NotData{
			Reason: dms.ReasonControlTable, Detail: "the rows of " + it.part.String() + " belong to a control table of DMS",
		})
		v.event.(*blotterv1.ObjectIgnored).Part = part
		return v
	}
	if table, ok := matcher.MatchPart(it.db, it.part); ok {
		return verdict{
			table: table, name: "arrived", parts: []string{file}, state: control.ObjectTold,
			event: &blotterv1.ObjectArrived{FileId: file, Object: wire.Object(it.object), Source: string(source), Part: part},
		}
	}
	return verdict{
		table: dms.RawTable, name: "held", parts: []string{file}, state: control.ObjectHeld,
		event: &blotterv1.ObjectHeld{FileId: file, Object: wire.Object(it.object), Reason: reasonUnregistered, Part: part},
	}
}

// reasonUnregistered is why an item is held.
const reasonUnregistered = "unregistered"

// decideObject says what a whole object is.
func decideObject(matcher *registry.Matcher, id dms.FileID, o dms.Object, source Source) verdict {
	table, rel, ok := matcher.Match(o.Key)
	if ok {
		if _, why := dms.ParseName(rel, dms.NameRules{Place: dms.Anywhere}); why != nil && why.Reason != dms.ReasonNotDMS {
			return ignored(id, o, *why)
		}
		return verdict{
			table: table, name: "arrived", parts: []string{string(id)}, state: control.ObjectTold,
			event: &blotterv1.ObjectArrived{FileId: string(id), Object: wire.Object(o), Source: string(source)},
		}
	}
	if _, why := dms.ParseName(rel, dms.NameRules{Place: dms.Anywhere}); why != nil {
		return ignored(id, o, *why)
	}
	return verdict{
		table: dms.RawTable, name: "held", parts: []string{string(id)}, state: control.ObjectHeld,
		event: &blotterv1.ObjectHeld{FileId: string(id), Object: wire.Object(o), Reason: reasonUnregistered},
	}
}

func ignored(id dms.FileID, o dms.Object, why dms.NotData) verdict {
	return verdict{
		table: dms.RawTable, name: "ignored", parts: []string{string(id)}, state: control.ObjectTold,
		event: &blotterv1.ObjectIgnored{
			FileId: string(id), Object: wire.Object(o), Reason: string(why.Reason), Detail: why.Detail,
		},
	}
}

// decideAgain says what the repeated delivery of a known object means; delivery
// counts from 1.
func decideAgain(row control.ObjectRow, delivery int64) verdict {
	return verdict{
		table: row.Table, name: "repeated", parts: []string{string(row.FileID), strconv.FormatInt(delivery, 10)}, state: row.State,
		event: &blotterv1.DeliveryRepeated{FileId: string(row.FileID), Object: wire.Object(row.Object), Delivery: delivery},
	}
}
