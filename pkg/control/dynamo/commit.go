package dynamo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

const (
	// maxItem is what of our own data one item may hold; DynamoDB allows 400 KB.
	maxItem = 350 << 10
	// maxRow is the same for a file's row, which may stand in a part, encoded.
	maxRow = 200 << 10
	// settleTries bounds how often a commit lays out what others left.
	settleTries = 5
)

// errPending: the rows of the version before are not laid out.
var errPending = errors.New("the rows of the last commit are not laid out yet")

// Commit implements control.Store.
func (s *Store) Commit(ctx context.Context, c control.Change) error {
	if c.Table.IsZero() {
		return errors.New("commit: no table is named")
	}
	fail := func(err error) error {
		return fmt.Errorf("commit version %d of table %s: %w", c.Expect+1, c.Table, err)
	}
	w, err := s.plan(c)
	if err != nil {
		return fail(err)
	}
	for range settleTries {
		if err = w.commit(ctx); !errors.Is(err, errPending) {
			break
		}
		if err := s.settle(ctx, c.Table); err != nil {
			return fail(err)
		}
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// write is one commit on its way.
type write struct {
	store *Store
	c     control.Change
	tag   string
	files []control.FileRow
	parts map[partKind][][]byte // what does not stay in the item
	items []types.TransactWriteItem
	spec  int // the item of the registration; -1: none
	// restores: the table must not be there, whatever version it gets.
	restores bool
}

// plan decides what goes where. It refuses what DynamoDB could not hold.
func (s *Store) plan(c control.Change) (*write, error) {
	w := &write{store: s, c: c, tag: rand.Text(), files: lastOfEach(c.Files), parts: map[partKind][][]byte{}, spec: -1}
	if c.Spec != nil && len(c.Spec.JSON) > maxItem {
		return nil, fmt.Errorf("its registration has %d bytes, DynamoDB allows %d: leave layouts or columns out", len(c.Spec.JSON), maxItem)
	}
	size := 0
	for _, f := range w.files {
		if _, err := fileItem(c.Table, f); err != nil {
			return nil, err
		}
		n := rowSize(f)
		if n > maxRow {
			return nil, fmt.Errorf("the row of file %s takes %d bytes, %d are allowed", f.FileID, n, maxRow)
		}
		size += n
	}
	if len(w.files) > s.limits.Files || size > s.limits.Bytes {
		chunks, err := fileChunks(w.files, s.limits.Part)
		if err != nil {
			return nil, err
		}
		w.parts[partFiles] = chunks
	}
	if len(c.State) > s.limits.Inline {
		w.parts[partState] = chunk(c.State, s.limits.Part)
	}
	if all := joinEvents(c.Outbox); len(all) > s.limits.Inline {
		w.parts[partOutbox] = chunk(all, s.limits.Part)
	}
	return w, nil
}

// lastOfEach leaves of rows with one id the last.
func lastOfEach(files []control.FileRow) []control.FileRow {
	at := map[dms.FileID]int{}
	var rows []control.FileRow
	for _, f := range files {
		if i, ok := at[f.FileID]; ok {
			rows[i] = f
			continue
		}
		at[f.FileID] = len(rows)
		rows = append(rows, f)
	}
	return rows
}

func (w *write) version() uint64 { return w.c.Expect + 1 }

// commit writes the parts, then the one transaction that makes them count, then
// lays the rows out. What is left after that by a failure others will do.
func (w *write) commit(ctx context.Context) error {
	s, c := w.store, w.c
	for kind, data := range w.parts {
		if _, err := s.putParts(ctx, c.Table, w.version(), w.tag, kind, data); err != nil {
			return err
		}
	}
	if err := s.step(stepParts); err != nil {
		return err
	}
	if err := w.build(); err != nil {
		return err
	}
	err := s.transact(ctx, w.items)
	if err != nil {
		if len(w.parts) > 0 {
			w.dropOwn(ctx, err)
		}
		return w.explain(err)
	}
	if len(w.parts) == 0 {
		return nil
	}
	if err := s.step(stepCommitted); err != nil {
		return err
	}
	if len(w.parts[partFiles]) > 0 {
		// It is committed: a failure from here on is no failure of the commit.
		if err := s.settle(ctx, c.Table); err != nil && errors.Is(err, errDied) {
			return err
		}
	}
	// Whatever lies below this version is of no use to anybody any more.
	_ = s.dropParts(ctx, c.Table, "PART#", partsBelow(w.version()))
	return nil
}

// errDied is what tests let a step fail with.
var errDied = errors.New("died")

// dropOwn removes the parts of a commit that was refused. After another error
// it may have happened all the same.
func (w *write) dropOwn(ctx context.Context, err error) {
	var no *refused
	if !errors.As(err, &no) {
		return
	}
	for kind := range w.parts {
		first := partSK(w.version(), w.tag, kind, 0)
		_ = w.store.dropParts(ctx, w.c.Table, first, first[:len(first)-6]+last)
	}
}

// build makes the transaction. Its first item is the one that decides.
func (w *write) build() error {
	s, c := w.store, w.c
	w.items = []types.TransactWriteItem{{Put: w.stateItem()}}
	put := func(item map[string]types.AttributeValue) {
		w.items = append(w.items, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: item}})
	}
	named := func(pk string) {
		item := key(pk, tableSK(c.Table))
		item[attrDB], item[attrTable] = text(c.Table.DB), text(c.Table.Table)
		put(item)
	}
	if c.Expect == 0 || w.restores {
		named(tablesPK)
	}
	if len(c.Outbox) > 0 {
		named(outboxPK)
	}
	if n := len(w.parts[partFiles]); n > 0 {
		item := key(tablePK(c.Table), pendingSK)
		item[attrVersion], item[attrTag], item[attrFileParts] = number(w.version()), text(w.tag), number(n)
		put(item)
	} else {
		for _, f := range w.files {
			item, err := fileItem(c.Table, f)
			if err != nil {
				return err
			}
			put(item)
		}
	}
	if c.Spec != nil {
		item := key(tablePK(c.Table), specSK(c.Spec.Version))
		item[attrVersion], item[attrData] = number(c.Spec.Version), binaryOf(c.Spec.JSON)
		w.spec = len(w.items)
		put(item)
		w.items[w.spec].Put.ConditionExpression = aws.String("attribute_not_exists(pk)")
	}
	return nil
}

func (w *write) stateItem() *types.Put {
	c := w.c
	item := key(tablePK(c.Table), stateSK)
	item[attrVersion] = number(w.version())
	item[attrTag] = text(w.tag)
	if n := len(w.parts[partState]); n > 0 {
		item[attrStateParts] = number(n)
	} else {
		item[attrState] = binaryOf(c.State)
	}
	switch n := len(w.parts[partOutbox]); {
	case n > 0:
		item[attrOutboxParts] = number(n)
	case len(c.Outbox) > 0:
		events := make([]types.AttributeValue, len(c.Outbox))
		for i, e := range c.Outbox {
			events[i] = binaryOf(e)
		}
		item[attrOutbox] = &types.AttributeValueMemberL{Value: events}
	}
	if n := len(w.parts[partFiles]); n > 0 {
		item[attrFileParts] = number(n)
	}
	put := &types.Put{TableName: &w.store.table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	if c.Expect > 0 && !w.restores {
		put.ConditionExpression = aws.String("#version = :expect AND attribute_not_exists(#outbox) " +
			"AND attribute_not_exists(#outbox_parts) AND attribute_not_exists(#file_parts)")
		put.ExpressionAttributeNames = names(attrVersion, attrOutbox, attrOutboxParts, attrFileParts)
		put.ExpressionAttributeValues = map[string]types.AttributeValue{":expect": number(c.Expect)}
		put.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return put
}

func names(attributes ...string) map[string]string {
	m := map[string]string{}
	for _, a := range attributes {
		m["#"+a] = a
	}
	return m
}

// explain says why a transaction was refused.
func (w *write) explain(err error) error {
	var no *refused
	switch {
	case !errors.As(err, &no):
		return err
	case no.item == w.spec:
		return fmt.Errorf("registration %d is there already", w.c.Spec.Version)
	case no.item != 0:
		return err
	}
	old := fields{item: no.old}
	if old.has(attrFileParts) && old.unsigned(attrVersion) == w.c.Expect && !old.has(attrOutbox) && !old.has(attrOutboxParts) {
		return errPending
	}
	return control.ErrConflict
}

// ClearOutbox implements control.Store.
func (s *Store) ClearOutbox(ctx context.Context, table dms.TableID, version uint64) error {
	err := s.transact(ctx, []types.TransactWriteItem{
		{Update: &types.Update{
			TableName: &s.table, Key: key(tablePK(table), stateSK),
			UpdateExpression:          aws.String("REMOVE #outbox, #outbox_parts"),
			ConditionExpression:       aws.String("#version = :version AND (attribute_exists(#outbox) OR attribute_exists(#outbox_parts))"),
			ExpressionAttributeNames:  names(attrVersion, attrOutbox, attrOutboxParts),
			ExpressionAttributeValues: map[string]types.AttributeValue{":version": number(version)},
		}},
		{Delete: &types.Delete{TableName: &s.table, Key: key(outboxPK, tableSK(table))}},
	})
	var no *refused
	if err != nil && !errors.As(err, &no) {
		return fmt.Errorf("clear the outbox of version %d of table %s: %w", version, table, err)
	}
	return nil
}
