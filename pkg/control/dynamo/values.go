package dynamo

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// The partitions.
const (
	tablesPK  = "TABLES"  // one item for each table there is
	outboxPK  = "OUTBOX"  // one for each table whose outbox is not empty
	stateSK   = "STATE"   // of a table's partition: the item that decides
	pendingSK = "PENDING" // there while the rows of a commit are not laid out
	objectSK  = "OBJECT"
)

// sep parts what a sort key is made of. It sorts before everything that stands
// in an order or a name.
const sep = "\t"

func tablePK(table dms.TableID) string { return "TABLE#" + table.String() }
func objectPK(id dms.FileID) string    { return "OBJECT#" + string(id) }

// listPK is the partition that lists the objects in one state.
func listPK(state control.ObjectState) string { return "OBJECTS#" + string(state) }

func fileSK(id dms.FileID) string       { return "FILE#" + string(id) }
func specSK(version uint64) string      { return fmt.Sprintf("SPEC#%020d", version) }
func tableSK(table dms.TableID) string  { return table.DB + sep + table.Table }
func partsBelow(version uint64) string  { return fmt.Sprintf("PART#%020d", version) }
func orderKey(f control.FileRow) string { return string(f.Order) + sep + string(f.FileID) }
func key(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{attrPK: text(pk), attrSK: text(sk)}
}

func partSK(version uint64, tag string, kind partKind, n int) string {
	return fmt.Sprintf("PART#%020d#%s#%s#%06d", version, tag, kind, n)
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func binaryOf(b []byte) types.AttributeValue {
	if b == nil {
		b = []byte{}
	}
	return &types.AttributeValueMemberB{Value: b}
}
func number[N int | int64 | uint64](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: fmt.Sprint(n)}
}
func boolean(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// stampLayout prints times so that their texts compare as the times do.
const stampLayout = "2006-01-02T15:04:05.000000000Z"

func stamp(t time.Time) (string, error) {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return "", fmt.Errorf("time %v: its year is not between 0 and 9999", t)
	}
	return t.Format(stampLayout), nil
}

// fields reads an item, and keeps what is wrong with it.
type fields struct {
	item map[string]types.AttributeValue
	err  error
}

func (f *fields) has(name string) bool { _, ok := f.item[name]; return ok }

func (f *fields) wrong(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("stored attribute %s: %w", name, err)
	}
}

func field[T types.AttributeValue](f *fields, name string) (T, bool) {
	v, ok := f.item[name].(T)
	if !ok && f.has(name) {
		f.wrong(name, fmt.Errorf("it is a %T", f.item[name]))
	}
	return v, ok
}

func (f *fields) text(name string) string {
	if v, ok := field[*types.AttributeValueMemberS](f, name); ok {
		return v.Value
	}
	return ""
}

func (f *fields) bytes(name string) []byte {
	if v, ok := field[*types.AttributeValueMemberB](f, name); ok {
		return v.Value
	}
	return nil
}

func (f *fields) boolean(name string) bool {
	v, ok := field[*types.AttributeValueMemberBOOL](f, name)
	return ok && v.Value
}

func (f *fields) unsigned(name string) uint64 {
	v, ok := field[*types.AttributeValueMemberN](f, name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(v.Value, 10, 64)
	if err != nil {
		f.wrong(name, err)
	}
	return n
}

func (f *fields) signed(name string) int64 {
	v, ok := field[*types.AttributeValueMemberN](f, name)
	if !ok {
		return 0
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		f.wrong(name, err)
	}
	return n
}

func (f *fields) list(name string) [][]byte {
	v, ok := field[*types.AttributeValueMemberL](f, name)
	if !ok {
		return nil
	}
	list := make([][]byte, len(v.Value))
	for i, e := range v.Value {
		b, ok := e.(*types.AttributeValueMemberB)
		if !ok {
			f.wrong(name, fmt.Errorf("element %d is a %T", i, e))
			return nil
		}
		list[i] = b.Value
	}
	return list
}

func (f *fields) time(name string) time.Time {
	t, err := time.Parse(stampLayout, f.text(name))
	if err != nil {
		f.wrong(name, err)
	}
	return t
}

// fileItem is the item of a file's row, with the keys of the indexes that it is in.
func fileItem(table dms.TableID, f control.FileRow) (map[string]types.AttributeValue, error) {
	modified, err := stamp(f.LastModified)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", f.FileID, err)
	}
	item := key(tablePK(table), fileSK(f.FileID))
	item[attrFile] = text(string(f.FileID))
	item[attrKind] = number(int64(f.Kind))
	item[attrState] = text(f.State)
	item[attrOrder] = text(string(f.Order))
	item[attrLastModified] = text(modified)
	item[attrLive] = boolean(f.Live)
	item[attrBody] = binaryOf(f.Body)
	byOrder := orderKey(f)
	item[attrByOrder] = text(byOrder)
	item[attrByState] = text(f.State + sep + byOrder)
	if f.Live {
		item[attrByLive] = text(byOrder)
	}
	if f.State == published && f.Kind == dms.KindChange {
		item[attrByPublished] = text(modified + sep + byOrder)
	}
	const maxSortKey = 1024
	if n := len(f.State + sep + byOrder); n > maxSortKey {
		return nil, fmt.Errorf("file %s: its order is too long: a sort key of %d bytes, DynamoDB allows %d", f.FileID, n, maxSortKey)
	}
	return item, nil
}

// published is the state in which change files are found by their time.
const published = "published"

func fileRow(item map[string]types.AttributeValue) (control.FileRow, error) {
	f := fields{item: item}
	row := control.FileRow{
		FileID: dms.FileID(f.text(attrFile)), Kind: dms.FileKind(f.signed(attrKind)), State: f.text(attrState),
		Order: dms.FileOrder(f.text(attrOrder)), LastModified: f.time(attrLastModified), Live: f.boolean(attrLive),
		Body: f.bytes(attrBody),
	}
	return row, f.err
}
