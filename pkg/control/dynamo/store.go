package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/cenkalti/backoff/v5"

	"github.com/openblotter/blotter/pkg/control"
)

const (
	// writeTimeout bounds a write once it is begun; it is not given up before.
	writeTimeout = 30 * time.Second
	// transactionItems is how many items a transaction may have.
	transactionItems = 100
)

// Store is a control store in one DynamoDB table. All methods may be used by many
// goroutines, and many processes may use one table.
type Store struct {
	client  *dynamodb.Client
	table   string
	limits  Limits
	step    func(step) error
	arrived atomic.Int64 // the last arrival of an object that was given out
}

var (
	_ control.Store   = (*Store)(nil)
	_ control.Objects = (*Store)(nil)
)

// Limits say where a commit goes another way. Tests make them small.
type Limits struct {
	Inline int // bytes of state, and of outbox, that stay in the item; 100 KiB by default
	Files  int // rows that are written with the item; 90 by default
	Bytes  int // of those rows; 1 MiB by default
	Part   int // bytes of one part of what does not stay; 300 KiB by default
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&l.Inline, 100<<10)
	set(&l.Files, 90)
	set(&l.Bytes, 1<<20)
	set(&l.Part, 300<<10)
	return l
}

// Option says more about a store.
type Option func(*Store)

// WithLimits replaces the limits.
func WithLimits(l Limits) Option { return func(s *Store) { s.limits = l.withDefaults() } }

// Open opens the store in a table that is there. It fails if the table has not
// the keys and the indexes of Schema.
func Open(ctx context.Context, client *dynamodb.Client, table string, opts ...Option) (*Store, error) {
	s := &Store{client: client, table: table, limits: Limits{}.withDefaults(), step: func(step) error { return nil }}
	for _, opt := range opts {
		opt(s)
	}
	if err := check(ctx, client, table); err != nil {
		return nil, fmt.Errorf("open control store in DynamoDB table %s: %w", table, err)
	}
	return s, nil
}

// Close does nothing: the client belongs to whoever made it.
func (s *Store) Close() error { return nil }

// step names a moment at which tests let a process die.
type step string

const (
	stepParts     step = "parts"     // the parts are written, the item is not
	stepCommitted step = "committed" // the item is written, its rows are not laid out
	stepLaidSome  step = "laid some" // some rows are
	stepLaid      step = "laid"      // all rows are, the item still names the parts
)

// refused: a condition did not hold.
type refused struct {
	item int // the first item whose condition it was
	old  map[string]types.AttributeValue
}

func (r *refused) Error() string {
	return fmt.Sprintf("the condition of item %d does not hold", r.item)
}

// transact writes items, all or none. The write is not given up when ctx ends
// while it is under way: it would be unknown whether it happened. A refused
// condition is *refused. Transactions that met others are tried again.
func (s *Store) transact(ctx context.Context, items []types.TransactWriteItem) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		// The SDK gives each call a token of its own, under which DynamoDB knows a
		// repeated request whose answer was lost.
		_, err := s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
		var canceled *types.TransactionCanceledException
		if err == nil || !errors.As(err, &canceled) {
			return struct{}{}, permanent(err)
		}
		again := true
		for i, reason := range canceled.CancellationReasons {
			switch aws.ToString(reason.Code) {
			case "ConditionalCheckFailed":
				return struct{}{}, permanent(&refused{item: i, old: reason.Item})
			case "", "None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
			default:
				again = false
			}
		}
		if !again {
			err = permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(quick()), backoff.WithMaxElapsedTime(writeTimeout))
	return unwrapPermanent(err)
}

// quick begins with a few milliseconds: that is how long a transaction takes.
func quick() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 10*time.Millisecond, time.Second
	return b
}

func permanent(err error) error {
	if err == nil {
		return nil
	}
	return backoff.Permanent(err)
}

func unwrapPermanent(err error) error {
	var p *backoff.PermanentError
	if errors.As(err, &p) {
		return p.Unwrap()
	}
	return err
}

// get reads one item consistently; none is control.ErrNotFound.
func (s *Store) get(ctx context.Context, pk, sk string, attributes ...string) (map[string]types.AttributeValue, error) {
	in := &dynamodb.GetItemInput{TableName: &s.table, Key: key(pk, sk), ConsistentRead: aws.Bool(true)}
	if len(attributes) > 0 {
		in.ExpressionAttributeNames = map[string]string{}
		var list []string
		for _, a := range attributes {
			in.ExpressionAttributeNames["#"+a] = a
			list = append(list, "#"+a)
		}
		in.ProjectionExpression = aws.String(strings.Join(list, ", "))
	}
	out, err := s.client.GetItem(ctx, in)
	if err != nil {
		return nil, err
	}
	if len(out.Item) == 0 {
		return nil, control.ErrNotFound
	}
	return out.Item, nil
}

// ranged asks for the items of a partition whose sort key lies in a range.
type ranged struct {
	pk, index string // no index: the base table
	key       string // the attribute that is the sort key
	from, to  string // both included
	down      bool
	limit     int // 0: all
}

// query reads a range consistently and page by page.
func (s *Store) query(ctx context.Context, r ranged, each func(map[string]types.AttributeValue) error) error {
	left := r.limit
	pages := dynamodb.NewQueryPaginator(s.client, s.asks(r, min(r.limit, 1000)))
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := each(item); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
	}
	return nil
}

// count counts a range consistently, up to its limit, which is positive.
func (s *Store) count(ctx context.Context, r ranged) (int, error) {
	in := s.asks(r, r.limit)
	in.Select = types.SelectCount
	n := 0
	for pages := dynamodb.NewQueryPaginator(s.client, in); n < r.limit && pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		n += int(page.Count)
	}
	return min(n, r.limit), nil
}

// asks is the request for a range in pages of at most so many items; 0: as they come.
func (s *Store) asks(r ranged, page int) *dynamodb.QueryInput {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), ScanIndexForward: aws.Bool(!r.down),
		KeyConditionExpression:    aws.String("#p = :p AND #k BETWEEN :from AND :to"),
		ExpressionAttributeNames:  map[string]string{"#p": attrPK, "#k": r.key},
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": text(r.pk), ":from": text(r.from), ":to": text(r.to)},
	}
	if r.index != "" {
		in.IndexName = &r.index
	}
	if page > 0 {
		in.Limit = aws.Int32(int32(page))
	}
	return in
}

// last is behind every sort key that begins with what stands before it.
const last = "\U0010ffff"
