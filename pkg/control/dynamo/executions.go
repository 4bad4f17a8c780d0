package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

// The attributes of an execution's item, beside those of other items.
const (
	attrExecution = "execution"
	attrSince     = "since" // missing where nobody ever waited
	attrToken     = "token" // there only while somebody waits
	attrParts     = "parts"
	attrEnd       = "ended"

	executionSK = "EXECUTION"
	waitingPK   = "WAITING"
)

var _ control.Executions = (*Store)(nil)

func executionPK(id dms.FileID) string { return "EXECUTION#" + string(id) }

// Execution implements control.Executions.
func (s *Store) Execution(ctx context.Context, id dms.FileID) (control.ExecutionRow, error) {
	item, err := s.get(ctx, executionPK(id), executionSK)
	if err == nil {
		var row control.ExecutionRow
		if row, err = executionRow(item); err == nil {
			return row, nil
		}
	}
	return control.ExecutionRow{}, fmt.Errorf("load execution of file %s: %w", id, err)
}

func executionRow(item map[string]types.AttributeValue) (control.ExecutionRow, error) {
	f := fields{item: item}
	row := control.ExecutionRow{
		FileID: dms.FileID(f.text(attrFile)), Execution: f.text(attrExecution), Token: f.text(attrToken),
		End: f.bytes(attrEnd), Revision: f.unsigned(attrRevision),
	}
	if f.has(attrSince) {
		row.Since = f.time(attrSince)
	}
	for _, id := range f.list(attrParts) {
		row.Parts = append(row.Parts, dms.FileID(id))
	}
	return row, f.err
}

func executionItem(row control.ExecutionRow) (map[string]types.AttributeValue, error) {
	item := key(executionPK(row.FileID), executionSK)
	item[attrFile], item[attrExecution] = text(string(row.FileID)), text(row.Execution)
	item[attrRevision] = number(row.Revision + 1)
	if !row.Since.IsZero() {
		since, err := stamp(row.Since)
		if err != nil {
			return nil, err
		}
		item[attrSince] = text(since)
	}
	if row.Token != "" {
		item[attrToken] = text(row.Token)
	}
	if len(row.End) > 0 {
		item[attrEnd] = binaryOf(row.End)
	}
	if len(row.Parts) > 0 {
		parts := &types.AttributeValueMemberL{}
		for _, id := range row.Parts {
			parts.Value = append(parts.Value, binaryOf([]byte(id)))
		}
		item[attrParts] = parts
	}
	return item, nil
}

// PutExecution implements control.Executions. The row and its place among those that
// wait change together.
func (s *Store) PutExecution(ctx context.Context, row control.ExecutionRow) error {
	if err := s.putExecution(ctx, row); err != nil {
		return fmt.Errorf("write execution of file %s: %w", row.FileID, err)
	}
	return nil
}

func (s *Store) putExecution(ctx context.Context, row control.ExecutionRow) error {
	waited := false
	if row.Revision > 0 {
		old, err := s.Execution(ctx, row.FileID)
		if errors.Is(err, control.ErrNotFound) || err == nil && old.Revision != row.Revision {
			return control.ErrConflict
		}
		if err != nil {
			return err
		}
		waited = old.Token != ""
	}
	item, err := executionItem(row)
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
	place := key(waitingPK, string(row.FileID))
	switch waits := row.Token != ""; {
	case waits && !waited:
		place[attrFile] = text(string(row.FileID))
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: place}})
	case waited && !waits:
		items = append(items, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.table, Key: place}})
	}
	err = s.transact(ctx, items)
	var no *refused
	if errors.As(err, &no) {
		return control.ErrConflict
	}
	return err
}

// Waiting implements control.Executions.
func (s *Store) Waiting(ctx context.Context, after dms.FileID, limit int) ([]control.ExecutionRow, error) {
	fail := func(err error) error { return fmt.Errorf("list executions that wait: %w", err) }
	for {
		var keys []itemKey
		err := s.query(ctx, ranged{pk: waitingPK, key: attrSK, from: string(after) + sep, to: last, limit: limit},
			func(item map[string]types.AttributeValue) error {
				f := fields{item: item}
				after = dms.FileID(f.text(attrFile))
				keys = append(keys, itemKey{executionPK(after), executionSK})
				return f.err
			})
		if err != nil {
			return nil, fail(err)
		}
		items, err := s.batch(ctx, keys)
		if err != nil {
			return nil, fail(err)
		}
		var rows []control.ExecutionRow
		for _, item := range items {
			row, err := executionRow(item)
			if err != nil {
				return nil, fail(err)
			}
			if row.Token != "" { // else it was answered since it was listed
				rows = append(rows, row)
			}
		}
		// None left of a full page says nothing of those behind it.
		if len(rows) > 0 || len(keys) < limit {
			return rows, nil
		}
	}
}
