package classifier

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// transactions is the pseudo-table that transaction files belong to.
const transactions = "@txn"

// decide says what an object is; spec is the newest registration of its table.
func decide(spec registry.Table, e *blotterv1.ObjectArrived) proto.Message {
	object := wire.ObjectOf(e.GetObject())
	rel, below := strings.CutPrefix(object.Key, spec.Prefix+spec.Path)
	rules := dms.NameRules{Place: dms.InTable}
	if spec.ID.Table == transactions {
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
	id := dms.FileID(e.GetFileId())
	return &blotterv1.FileClassified{
		SpecVersion: spec.Version,
		File: wire.FileRef(dms.File{
			ID: id, Object: object, Kind: name.Kind, Order: dms.NewFileOrder(name, object.LastModified, id),
		}),
	}
}

func rejected(e *blotterv1.ObjectArrived, reason, detail string) proto.Message {
	return &blotterv1.FileRejected{FileId: e.GetFileId(), Object: e.GetObject(), Reason: reason, Detail: detail}
}
