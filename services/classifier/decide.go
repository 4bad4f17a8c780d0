package classifier

import (
	"fmt"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// decide says what an object is; spec is the newest registration of its table.
func decide(spec registry.Table, e *blotterv1.ObjectArrived) proto.Message {
	object := wire.ObjectOf(e.GetObject())
	switch {
	case e.GetMending() != nil:
		return decideMended(spec, e, object)
	case e.GetPart() != nil:
		return decidePart(spec, e, object)
	}
	rel, below := strings.CutPrefix(object.Key, spec.Prefix+spec.Path)
	rules := dms.NameRules{Place: dms.InTable}
	if spec.ID.IsTransactions() {
		rules.Place = dms.InTransactions
	}
	if !below {
		return rejected(e, string(dms.ReasonMisplaced), fmt.Sprintf(
			"the object does not lie below %q, where the registration expects the files of %s", spec.Prefix+spec.Path, spec.ID))
	}
	name, why := dms.ParseName(rel, rules)
	if why != nil {
		return rejected(e, string(why.Reason), why.Detail)
	}
	return classified(spec, dms.File{
		ID: dms.FileID(e.GetFileId()), Object: object, Kind: name.Kind,
	}, name)
}

// decidePart says what the rows of one table in a transaction file are: a change
// file of the table, in the place that the transaction file's name gives.
func decidePart(spec registry.Table, e *blotterv1.ObjectArrived, object dms.Object) proto.Message {
	name, why := dms.ParseName(path.Base(object.Key), dms.NameRules{Place: dms.InTransactions})
	if why != nil {
		return rejected(e, string(why.Reason), why.Detail)
	}
	return classified(spec, dms.File{
		ID: dms.FileID(e.GetFileId()), Object: object, Kind: dms.KindChange, Part: wire.PartOf(e.GetPart()),
	}, name)
}

// decideMended says what mended rows are: a change file right behind the file that
// they belong to, whatever the kind of that is.
func decideMended(spec registry.Table, e *blotterv1.ObjectArrived, object dms.Object) proto.Message {
	id, mending := dms.FileID(e.GetFileId()), wire.MendingOf(e.GetMending())
	return &blotterv1.FileClassified{SpecVersion: spec.Version, File: wire.FileRef(dms.File{
		ID: id, Object: object, Kind: dms.KindChange, Order: dms.MendedOrder(mending.Order, id),
		Part: wire.PartOf(e.GetPart()), Mending: mending,
	})}
}

func classified(spec registry.Table, f dms.File, name dms.Name) proto.Message {
	f.Order = dms.NewFileOrder(name, f.Object.LastModified, f.ID)
	return &blotterv1.FileClassified{SpecVersion: spec.Version, File: wire.FileRef(f)}
}

func rejected(e *blotterv1.ObjectArrived, reason, detail string) proto.Message {
	return &blotterv1.FileRejected{FileId: e.GetFileId(), Object: e.GetObject(), Reason: reason, Detail: detail}
}
