package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The attributes of items. Those of one letter would be shorter, and nobody who
// looks into the table in trouble would know them.
const (
	attrPK = "pk"
	attrSK = "sk"

	attrVersion     = "version"
	attrState       = "state"
	attrStateParts  = "state_parts"  // how many parts hold the state, where it is too large
	attrOutbox      = "outbox"       // there only while it is not empty
	attrOutboxParts = "outbox_parts" // alike
	attrFileParts   = "file_parts"   // how many parts hold rows that are not laid out yet
	attrTag         = "tag"          // names the parts of one commit
	attrData        = "data"
	attrDB          = "db"
	attrTable       = "table"

	attrFile         = "file_id"
	attrKind         = "kind"
	attrOrder        = "file_order"
	attrLastModified = "last_modified"
	attrLive         = "live"
	attrBody         = "body"

	// The sort keys of the indexes: an item without one is not in that index.
	attrByLive      = "by_live"
	attrByPublished = "by_published"
	attrByOrder     = "by_order"
	attrByState     = "by_state"
)

// The local indexes. They are read consistently, as no global one can be.
const (
	indexLive      = "live"
	indexPublished = "published"
	indexOrder     = "order"
	indexState     = "state"
)

var indexes = []struct {
	name, key  string
	projection types.ProjectionType
}{
	{indexLive, attrByLive, types.ProjectionTypeAll},
	{indexPublished, attrByPublished, types.ProjectionTypeKeysOnly},
	{indexOrder, attrByOrder, types.ProjectionTypeKeysOnly},
	{indexState, attrByState, types.ProjectionTypeKeysOnly},
}

// Schema is the table that a Store needs, on demand and under any name. What
// else it should have (point-in-time recovery, protection from deletion, a key)
// is the operator's choice.
func Schema(table string) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{
		TableName:   &table,
		BillingMode: types.BillingModePayPerRequest,
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String(attrPK), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String(attrSK), KeyType: types.KeyTypeRange},
		},
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(attrPK), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(attrSK), AttributeType: types.ScalarAttributeTypeS},
		},
	}
	for _, i := range indexes {
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
			AttributeName: aws.String(i.key), AttributeType: types.ScalarAttributeTypeS,
		})
		in.LocalSecondaryIndexes = append(in.LocalSecondaryIndexes, types.LocalSecondaryIndex{
			IndexName: aws.String(i.name),
			KeySchema: []types.KeySchemaElement{
				{AttributeName: aws.String(attrPK), KeyType: types.KeyTypeHash},
				{AttributeName: aws.String(i.key), KeyType: types.KeyTypeRange},
			},
			Projection: &types.Projection{ProjectionType: i.projection},
		})
	}
	return in
}

// createTimeout bounds the wait for a new table.
const createTimeout = 2 * time.Minute

// CreateTable makes the table and waits until it can be used. One that is there
// already is left as it is; Open finds out whether it fits.
func CreateTable(ctx context.Context, client *dynamodb.Client, table string) error {
	_, err := client.CreateTable(ctx, Schema(table))
	var inUse *types.ResourceInUseException
	if err != nil && !errors.As(err, &inUse) {
		return fmt.Errorf("create DynamoDB table %s: %w", table, err)
	}
	waiter := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 100 * time.Millisecond })
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: &table}, createTimeout); err != nil {
		return fmt.Errorf("wait for DynamoDB table %s: %w", table, err)
	}
	return nil
}

// check compares a table with Schema.
func check(ctx context.Context, client *dynamodb.Client, table string) error {
	out, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if err != nil {
		return err
	}
	want := Schema(table)
	var faults []error
	if !sameKeys(out.Table.KeySchema, want.KeySchema) {
		faults = append(faults, fmt.Errorf("its keys are not %s and %s", attrPK, attrSK))
	}
	for _, index := range want.LocalSecondaryIndexes {
		i := slices.IndexFunc(out.Table.LocalSecondaryIndexes, func(l types.LocalSecondaryIndexDescription) bool {
			return aws.ToString(l.IndexName) == *index.IndexName
		})
		switch {
		case i < 0:
			faults = append(faults, fmt.Errorf("it has no local index %s", *index.IndexName))
		case !sameKeys(out.Table.LocalSecondaryIndexes[i].KeySchema, index.KeySchema):
			faults = append(faults, fmt.Errorf("the keys of its local index %s are not %s and %s",
				*index.IndexName, attrPK, *index.KeySchema[1].AttributeName))
		case out.Table.LocalSecondaryIndexes[i].Projection.ProjectionType != index.Projection.ProjectionType:
			faults = append(faults, fmt.Errorf("its local index %s does not project %s", *index.IndexName, index.Projection.ProjectionType))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("the table is no control store of Blotter (local indexes can only be made with their table): %w",
			errors.Join(faults...))
	}
	return nil
}

func sameKeys(a, b []types.KeySchemaElement) bool {
	return slices.EqualFunc(a, b, func(a, b types.KeySchemaElement) bool {
		return aws.ToString(a.AttributeName) == aws.ToString(b.AttributeName) && a.KeyType == b.KeyType
	})
}
