package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// The attributes of an object's item, beside those of other items.
const (
	attrBucket     = "bucket"
	attrKey        = "key"
	attrObjectID   = "version_id"
	attrETag       = "etag"
	attrSize       = "size"
	attrAfter      = "after"
	attrEvent      = "event"
	attrDeliveries = "deliveries"
	attrRevision   = "revision"
	// The part of a transaction file; missing of a whole object.
	attrPartOf     = "part_of"
	attrPartSchema = "part_schema"
	attrPartTable  = "part_table"
	attrArrival    = "arrival" // nanoseconds since 1970 when it was put first
)

// listed are the states whose objects are listed. Those that were told are
// history: millions, which nobody asks for.
func listed(state control.ObjectState) bool { return state != control.ObjectTold }

func listSK(arrival int64, id dms.FileID) string {
	return fmt.Sprintf("%020d", arrival) + sep + string(id)
}

// Object implements control.Objects.
func (s *Store) Object(ctx context.Context, id dms.FileID) (control.ObjectRow, error) {
	row, _, err := s.object(ctx, id)
	if err != nil {
		return control.ObjectRow{}, fmt.Errorf("load object %s: %w", id, err)
	}
	return row, nil
}

func (s *Store) object(ctx context.Context, id dms.FileID) (row control.ObjectRow, arrival int64, err error) {
	item, err := s.get(ctx, objectPK(id), objectSK)
	if err != nil {
		return control.ObjectRow{}, 0, err
	}
	return objectRow(item)
}

func objectRow(item map[string]types.AttributeValue) (control.ObjectRow, int64, error) {
	f := fields{item: item}
	row := control.ObjectRow{
		FileID: dms.FileID(f.text(attrFile)),
		Object: dms.Object{
			Bucket: f.text(attrBucket), Key: f.text(attrKey), VersionID: f.text(attrObjectID), ETag: f.text(attrETag),
			Size: f.signed(attrSize), LastModified: f.time(attrLastModified),
		},
		Part:  dms.Part{FileID: dms.FileID(f.text(attrPartOf)), Schema: f.text(attrPartSchema), Table: f.text(attrPartTable)},
		State: control.ObjectState(f.text(attrState)), Table: dms.TableID{DB: f.text(attrDB), Table: f.text(attrTable)},
		After: f.unsigned(attrAfter), Event: f.bytes(attrEvent), Deliveries: f.signed(attrDeliveries),
		Revision: f.unsigned(attrRevision),
	}
	return row, f.signed(attrArrival), f.err
}

func objectItem(row control.ObjectRow, arrival int64) (map[string]types.AttributeValue, error) {
	modified, err := stamp(row.Object.LastModified)
	if err != nil {
		return nil, err
	}
	if n := len(row.Event) + len(row.Object.Key); n > maxItem {
		return nil, fmt.Errorf("it takes %d bytes, DynamoDB allows %d", n, maxItem)
	}
	item := key(objectPK(row.FileID), objectSK)
	item[attrFile] = text(string(row.FileID))
	item[attrBucket], item[attrKey] = text(row.Object.Bucket), text(row.Object.Key)
	item[attrObjectID], item[attrETag] = text(row.Object.VersionID), text(row.Object.ETag)
	item[attrSize], item[attrLastModified] = number(row.Object.Size), text(modified)
	item[attrState], item[attrDB], item[attrTable] = text(string(row.State)), text(row.Table.DB), text(row.Table.Table)
	item[attrAfter], item[attrDeliveries] = number(row.After), number(row.Deliveries)
	item[attrRevision], item[attrArrival] = number(row.Revision+1), number(arrival)
	if !row.Part.IsZero() {
		item[attrPartOf] = text(string(row.Part.FileID))
		item[attrPartSchema], item[attrPartTable] = text(row.Part.Schema), text(row.Part.Table)
	}
	if row.Event != nil {
		item[attrEvent] = binaryOf(row.Event)
	}
	return item, nil
}

// PutObject implements control.Objects. The row and its place in the lists of
// states change together.
func (s *Store) PutObject(ctx context.Context, row control.ObjectRow) error {
	if err := s.putObject(ctx, row); err != nil {
		return fmt.Errorf("write object %s: %w", row.FileID, err)
	}
	return nil
}

func (s *Store) putObject(ctx context.Context, row control.ObjectRow) error {
	var before control.ObjectState // none
	arrival := s.arrival()
	if row.Revision > 0 {
		old, since, err := s.object(ctx, row.FileID)
		if errors.Is(err, control.ErrNotFound) || err == nil && old.Revision != row.Revision {
			return control.ErrConflict
		}
		if err != nil {
			return err
		}
		before, arrival = old.State, since
	}
	item, err := objectItem(row, arrival)
	if err != nil {
		return err
	}
	put := &types.Put{TableName: &s.table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	if row.Revision > 0 {
		put.ConditionExpression = aws.String("#revision = :revision")
		put.ExpressionAttributeNames = names(attrRevision)
		put.ExpressionAttributeValues = map[string]types.AttributeValue{":revision": number(row.Revision)}
	}
	items := []types.TransactWriteItem{{Put: put}}
	place := listSK(arrival, row.FileID)
	if before != row.State {
		if before != "" && listed(before) {
			items = append(items, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.table, Key: key(listPK(before), place)}})
		}
		if listed(row.State) {
			entry := key(listPK(row.State), place)
			entry[attrFile] = text(string(row.FileID))
			items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: entry}})
		}
	}
	err = s.transact(ctx, items)
	var no *refused
	if errors.As(err, &no) {
		return control.ErrConflict
	}
	return err
}

// arrival gives times that grow, whatever the clock does.
func (s *Store) arrival() int64 {
	for {
		before := s.arrived.Load()
		now := max(time.Now().UnixNano(), before+1)
		if s.arrived.CompareAndSwap(before, now) {
			return now
		}
	}
}

// ObjectsIn implements control.Objects. The order between objects that several
// processes put is that of their clocks.
func (s *Store) ObjectsIn(ctx context.Context, state control.ObjectState, limit int) ([]control.ObjectRow, error) {
	fail := func(err error) error { return fmt.Errorf("list %s objects: %w", state, err) }
	if !listed(state) {
		return nil, fail(errors.New("they are history, and in no list"))
	}
	var ids []dms.FileID
	err := s.query(ctx, ranged{pk: listPK(state), key: attrSK, from: "0", to: last, limit: limit},
		func(item map[string]types.AttributeValue) error {
			f := fields{item: item}
			ids = append(ids, dms.FileID(f.text(attrFile)))
			return f.err
		})
	if err != nil {
		return nil, fail(err)
	}
	all, err := s.readObjects(ctx, ids)
	if err != nil {
		return nil, fail(err)
	}
	var rows []control.ObjectRow
	for _, row := range all {
		if row.State == state { // else it has changed since it was listed
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// CountObjects implements control.Objects. A page of counted places costs what its
// items weigh, some hundred bytes each; the objects themselves are not read.
func (s *Store) CountObjects(ctx context.Context, state control.ObjectState, most int) (int, error) {
	fail := func(err error) error { return fmt.Errorf("count %s objects: %w", state, err) }
	if !listed(state) {
		return 0, fail(errors.New("they are history, and in no list"))
	}
	n, err := s.count(ctx, ranged{pk: listPK(state), key: attrSK, from: "0", to: last, limit: most})
	if err != nil {
		return 0, fail(err)
	}
	return n, nil
}

// readObjects reads rows consistently, in the order of ids.
func (s *Store) readObjects(ctx context.Context, ids []dms.FileID) ([]control.ObjectRow, error) {
	keys := make([]itemKey, len(ids))
	for i, id := range ids {
		keys[i] = itemKey{objectPK(id), objectSK}
	}
	items, err := s.batch(ctx, keys)
	if err != nil {
		return nil, err
	}
	rows := make([]control.ObjectRow, len(items))
	for i, item := range items {
		if rows[i], _, err = objectRow(item); err != nil {
			return nil, err
		}
	}
	return rows, nil
}
