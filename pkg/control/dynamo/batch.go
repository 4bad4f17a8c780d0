package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	// readAtOnce is how many items are read by one request.
	readAtOnce = 100
	// batchTries bounds how often keys that DynamoDB left are asked for again.
	batchTries = 12
)

// itemKey names an item.
type itemKey struct{ pk, sk string }

// batch reads items consistently, in the order of their keys; those that are not
// there are left out.
func (s *Store) batch(ctx context.Context, keys []itemKey) ([]map[string]types.AttributeValue, error) {
	found := map[itemKey]map[string]types.AttributeValue{}
	for start := 0; start < len(keys); start += readAtOnce {
		if err := s.batchOnce(ctx, keys[start:min(start+readAtOnce, len(keys))], found); err != nil {
			return nil, err
		}
	}
	var items []map[string]types.AttributeValue
	for _, k := range keys {
		if item, ok := found[k]; ok {
			items = append(items, item)
		}
	}
	return items, nil
}

func (s *Store) batchOnce(ctx context.Context, keys []itemKey, found map[itemKey]map[string]types.AttributeValue) error {
	wanted := make([]map[string]types.AttributeValue, len(keys))
	for i, k := range keys {
		wanted[i] = key(k.pk, k.sk)
	}
	ask := map[string]types.KeysAndAttributes{s.table: {Keys: wanted, ConsistentRead: aws.Bool(true)}}
	wait := quick()
	for tries := 0; len(ask) > 0; tries++ {
		if tries == batchTries {
			return fmt.Errorf("DynamoDB left %d of %d keys unread %d times in a row", len(ask[s.table].Keys), len(keys), tries)
		}
		if tries > 0 {
			if err := pause(ctx, wait.NextBackOff()); err != nil {
				return err
			}
		}
		out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: ask})
		if err != nil {
			return err
		}
		for _, item := range out.Responses[s.table] {
			f := fields{item: item}
			found[itemKey{f.text(attrPK), f.text(attrSK)}] = item
		}
		ask = out.UnprocessedKeys
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
