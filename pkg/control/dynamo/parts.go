package dynamo

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// partKind is what a part is a part of.
type partKind string

const (
	partState  partKind = "state"
	partOutbox partKind = "outbox"
	partFiles  partKind = "files"
)

// partsAtOnce bounds the parts that are written or removed side by side.
const partsAtOnce = 8

// putParts writes data in parts and gives their number. Nobody sees them before
// the item names their tag.
func (s *Store) putParts(ctx context.Context, table dms.TableID, version uint64, tag string, kind partKind, data [][]byte) (int, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for n, d := range data {
		group.Go(func() error {
			item := key(tablePK(table), partSK(version, tag, kind, n))
			item[attrData] = binaryOf(d)
			_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: item})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("write %d parts of its %s: %w", len(data), kind, err)
	}
	return len(data), nil
}

// errPartGone: a part is not there any more: the item has changed meanwhile.
var errPartGone = errors.New("a part of the item is gone")

func (s *Store) part(ctx context.Context, table dms.TableID, version uint64, tag string, kind partKind, n int) ([]byte, error) {
	item, err := s.get(ctx, tablePK(table), partSK(version, tag, kind, n))
	if errors.Is(err, control.ErrNotFound) {
		return nil, errPartGone
	}
	if err != nil {
		return nil, err
	}
	f := fields{item: item}
	return f.bytes(attrData), f.err
}

func (s *Store) allParts(ctx context.Context, table dms.TableID, version uint64, tag string, kind partKind, count int) ([]byte, error) {
	var all []byte
	for n := range count {
		data, err := s.part(ctx, table, version, tag, kind, n)
		if err != nil {
			return nil, err
		}
		all = append(all, data...)
	}
	return all, nil
}

// dropParts removes the parts whose sort key lies in a range. What it leaves is
// invisible, and removed by the next commit that has parts.
func (s *Store) dropParts(ctx context.Context, table dms.TableID, from, to string) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	r := ranged{pk: tablePK(table), key: attrSK, from: from, to: to}
	err := s.query(ctx, r, func(item map[string]types.AttributeValue) error {
		f := fields{item: item}
		group.Go(func() error {
			_, err := s.client.DeleteItem(groupCtx, &dynamodb.DeleteItemInput{
				TableName: &s.table, Key: key(f.text(attrPK), f.text(attrSK)),
			})
			return err
		})
		return nil
	})
	return errors.Join(err, group.Wait())
}

// chunk cuts data into parts of at most size bytes.
func chunk(data []byte, size int) [][]byte {
	var parts [][]byte
	for len(data) > size {
		parts = append(parts, data[:size])
		data = data[size:]
	}
	return append(parts, data)
}

// joinEvents makes one text of the outbox: each event behind its length.
func joinEvents(events [][]byte) []byte {
	var all []byte
	for _, e := range events {
		all = binary.AppendUvarint(all, uint64(len(e)))
		all = append(all, e...)
	}
	return all
}

func splitEvents(all []byte) ([][]byte, error) {
	var events [][]byte
	for len(all) > 0 {
		n, used := binary.Uvarint(all)
		if used <= 0 || n > uint64(len(all)-used) {
			return nil, errors.New("the stored outbox is torn")
		}
		all = all[used:]
		events = append(events, all[:n:n])
		all = all[n:]
	}
	return events, nil
}

// fileChunks packs rows into parts, each at most size bytes and small enough to be
// laid out by one transaction.
func fileChunks(files []control.FileRow, size int) ([][]byte, error) {
	var chunks [][]byte
	var rows []control.FileRow
	bytes := 0
	flush := func() error {
		data, err := json.Marshal(rows)
		if err != nil {
			return fmt.Errorf("encode rows: %w", err)
		}
		chunks = append(chunks, data)
		rows, bytes = nil, 0
		return nil
	}
	for _, f := range files {
		n := rowSize(f) * 4 / 3 // base64
		if len(rows) > 0 && (bytes+n > size || len(rows) == transactionItems-1) {
			if err := flush(); err != nil {
				return nil, err
			}
		}
		rows = append(rows, f)
		bytes += n
	}
	return chunks, flush()
}

// rowSize is about what a row takes in an item.
func rowSize(f control.FileRow) int {
	const names = 300 // of the attributes, the keys of the indexes
	return names + len(f.Body) + 4*len(f.Order) + 4*len(f.FileID)
}

// settle lays out the rows of a commit that did not come to it. It returns when
// every row of every commit that is there has its own item.
func (s *Store) settle(ctx context.Context, table dms.TableID) error {
	item, err := s.get(ctx, tablePK(table), pendingSK)
	if errors.Is(err, control.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f := fields{item: item}
	version, tag, parts := f.unsigned(attrVersion), f.text(attrTag), int(f.unsigned(attrFileParts))
	if f.err != nil {
		return f.err
	}
	for n := range parts {
		err := s.layOut(ctx, table, version, tag, n)
		var no *refused
		if errors.As(err, &no) || errors.Is(err, errPartGone) {
			return nil // somebody else has done it all
		}
		if err != nil {
			return fmt.Errorf("lay out the rows of version %d: %w", version, err)
		}
		if err := s.step(stepLaidSome); err != nil {
			return err
		}
	}
	if err := s.step(stepLaid); err != nil {
		return err
	}
	return s.laidOut(ctx, table, version, tag)
}

// layOut writes the rows of one part, unless the item names these parts no more:
// then they are written, and later commits may have changed them.
func (s *Store) layOut(ctx context.Context, table dms.TableID, version uint64, tag string, n int) error {
	data, err := s.part(ctx, table, version, tag, partFiles, n)
	if err != nil {
		return err
	}
	var rows []control.FileRow
	if err := json.Unmarshal(data, &rows); err != nil {
		return fmt.Errorf("decode rows: %w", err)
	}
	items := []types.TransactWriteItem{{ConditionCheck: &types.ConditionCheck{
		TableName: &s.table, Key: key(tablePK(table), pendingSK),
		ConditionExpression:       aws.String("#tag = :tag"),
		ExpressionAttributeNames:  map[string]string{"#tag": attrTag},
		ExpressionAttributeValues: map[string]types.AttributeValue{":tag": text(tag)},
	}}}
	for _, row := range rows {
		item, err := fileItem(table, row)
		if err != nil {
			return err
		}
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: item}})
	}
	return s.transact(ctx, items)
}

// laidOut takes the parts' names off the item, and then the parts away.
func (s *Store) laidOut(ctx context.Context, table dms.TableID, version uint64, tag string) error {
	err := s.transact(ctx, []types.TransactWriteItem{
		{Update: &types.Update{
			TableName: &s.table, Key: key(tablePK(table), stateSK),
			UpdateExpression:          aws.String("REMOVE #parts"),
			ConditionExpression:       aws.String("#tag = :tag"),
			ExpressionAttributeNames:  map[string]string{"#tag": attrTag, "#parts": attrFileParts},
			ExpressionAttributeValues: map[string]types.AttributeValue{":tag": text(tag)},
		}},
		{Delete: &types.Delete{
			TableName: &s.table, Key: key(tablePK(table), pendingSK),
			ConditionExpression:       aws.String("#tag = :tag"),
			ExpressionAttributeNames:  map[string]string{"#tag": attrTag},
			ExpressionAttributeValues: map[string]types.AttributeValue{":tag": text(tag)},
		}},
	})
	var no *refused
	if errors.As(err, &no) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("say that the rows of version %d are laid out: %w", version, err)
	}
	first := partSK(version, tag, partFiles, 0)
	_ = s.dropParts(ctx, table, first, first+last) // what stays is invisible
	return nil
}
