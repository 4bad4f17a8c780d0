package sqs

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
)

const (
	// releasedKept is how many released files are remembered, so that holding them
	// again is not taken for a repetition.
	releasedKept = 16 << 10
	// maxSeen bounds the messages that are out of sight at once; SQS allows 20,000.
	maxSeen = 19_000
)

// Config says which queues, and how long to look.
type Config struct {
	// Prefix begins the name of every queue: letters, digits, "-" and "_", at most 30.
	Prefix string
	// Settle is how long an empty answer is waited for before it is believed, in
	// whole seconds. SQS may say too early that nothing is there.
	Settle time.Duration
	// Hidden is how long messages stay out of sight if a process dies looking at them.
	Hidden time.Duration
}

// DefaultConfig gives the settings for AWS.
func DefaultConfig() Config {
	return Config{Prefix: "blotter-hold-", Settle: time.Second, Hidden: time.Minute}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	var errs []error
	if !prefixAllowed(c.Prefix) {
		errs = append(errs, fmt.Errorf("prefix %q of the hold queues: at most %d letters, digits, \"-\" and \"_\"", c.Prefix, maxPrefix))
	}
	if c.Settle < 0 || c.Settle > 20*time.Second || c.Settle%time.Second != 0 {
		errs = append(errs, fmt.Errorf("settle time %s: whole seconds from 0 to 20", c.Settle))
	}
	if c.Hidden < time.Second || c.Hidden > 12*time.Hour {
		errs = append(errs, fmt.Errorf("hidden time %s: from a second to 12 hours", c.Hidden))
	}
	return errors.Join(errs...)
}

// Queue is a hold queue in SQS. All methods may be used by many goroutines.
type Queue struct {
	client *awssqs.Client
	cfg    Config
	mu     sync.Mutex // guards tables
	tables map[dms.TableID]*table
	// released gives a file that this process released a new deduplication id.
	released *lru.Cache[heldFile, string]
}

// table is what a process knows of one table's queue.
type table struct {
	look sync.Mutex // one look at a time
	url  string     // empty: not known to exist
}

type heldFile struct {
	table dms.TableID
	id    dms.FileID
}

var (
	_ holdqueue.Queue   = (*Queue)(nil)
	_ holdqueue.Counter = (*Queue)(nil)
)

// New makes the adapter; it asks nothing of SQS yet.
func New(client *awssqs.Client, cfg Config) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	released, err := lru.New[heldFile, string](releasedKept)
	if err != nil {
		panic(err) // only a size below one is refused
	}
	return &Queue{client: client, cfg: cfg, tables: map[dms.TableID]*table{}, released: released}, nil
}

// body is a message.
type body struct {
	Table  dms.TableID   `json:"table"`
	FileID dms.FileID    `json:"file_id"`
	Order  dms.FileOrder `json:"order"`
}

// Hold implements holdqueue.Queue.
func (q *Queue) Hold(ctx context.Context, id dms.TableID, item holdqueue.Item) error {
	if err := q.hold(ctx, id, item); err != nil {
		return fmt.Errorf("hold file %s of table %s: %w", item.FileID, id, err)
	}
	return nil
}

func (q *Queue) hold(ctx context.Context, id dms.TableID, item holdqueue.Item) error {
	message, err := json.Marshal(body{Table: id, FileID: item.FileID, Order: item.Order})
	if err != nil {
		return err
	}
	unlock, url, err := q.lock(ctx, id, true)
	if err != nil {
		return err
	}
	defer unlock()
	once, ok := q.released.Get(heldFile{id, item.FileID})
	if !ok {
		once = "held"
	}
	_, err = q.client.SendMessage(ctx, &awssqs.SendMessageInput{
		QueueUrl: &url, MessageBody: aws.String(string(message)),
		MessageGroupId: aws.String(string(item.FileID)), MessageDeduplicationId: aws.String(once),
	})
	return q.noted(id, err)
}

// Release implements holdqueue.Queue.
func (q *Queue) Release(ctx context.Context, id dms.TableID, file dms.FileID) error {
	if err := q.release(ctx, id, file); err != nil {
		return fmt.Errorf("release file %s of table %s: %w", file, id, err)
	}
	return nil
}

func (q *Queue) release(ctx context.Context, id dms.TableID, file dms.FileID) error {
	unlock, url, err := q.lock(ctx, id, false)
	if err != nil || url == "" {
		return err
	}
	defer unlock()
	found := false
	err = q.look(ctx, url, func(m seen) (keep, goOn bool, err error) {
		if m.FileID != file {
			return true, !found, nil
		}
		found = true
		_, err = q.client.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.handle})
		return false, true, err
	})
	if err == nil && found {
		q.released.Add(heldFile{id, file}, rand.Text())
	}
	return q.noted(id, err)
}

// Held implements holdqueue.Queue.
func (q *Queue) Held(ctx context.Context, id dms.TableID, limit int) ([]holdqueue.Item, error) {
	items, err := q.all(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("list held files of table %s: %w", id, err)
	}
	return items[:min(limit, len(items))], nil
}

// Len implements holdqueue.Queue.
func (q *Queue) Len(ctx context.Context, id dms.TableID) (int, error) {
	items, err := q.all(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("count held files of table %s: %w", id, err)
	}
	return len(items), nil
}

// counts are the attributes of a queue that together count its messages.
var counts = []types.QueueAttributeName{
	types.QueueAttributeNameApproximateNumberOfMessages,
	types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
}

// Count implements holdqueue.Counter.
func (q *Queue) Count(ctx context.Context, id dms.TableID) (int, error) {
	n, err := q.count(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("count messages of table %s: %w", id, err)
	}
	return n, nil
}

func (q *Queue) count(ctx context.Context, id dms.TableID) (int, error) {
	url, err := q.find(ctx, id, false)
	if err != nil || url == "" {
		return 0, err
	}
	out, err := q.client.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: counts})
	if isNoQueue(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, name := range counts {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("%s of queue %s: %w", name, url, err)
		}
		sum += n
	}
	return sum, nil
}

// Check reports whether SQS answers. It needs to find queues, and looks into none.
func (q *Queue) Check(ctx context.Context) error {
	_, err := q.find(ctx, dms.RawTable, false)
	return err
}

// all lists a table's files by order, then by id, each once.
func (q *Queue) all(ctx context.Context, id dms.TableID) ([]holdqueue.Item, error) {
	unlock, url, err := q.lock(ctx, id, false)
	if err != nil || url == "" {
		return nil, err
	}
	defer unlock()
	held := map[dms.FileID]holdqueue.Item{}
	err = q.look(ctx, url, func(m seen) (keep, goOn bool, err error) {
		held[m.FileID] = holdqueue.Item{FileID: m.FileID, Order: m.Order}
		return true, true, nil
	})
	if err := q.noted(id, err); err != nil {
		return nil, err
	}
	items := make([]holdqueue.Item, 0, len(held))
	for _, item := range held {
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b holdqueue.Item) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))
	})
	return items, nil
}

// lock takes the turn to look at a table's queue and gives its URL; without create
// it is empty, and nothing is locked, if there is no queue.
func (q *Queue) lock(ctx context.Context, id dms.TableID, create bool) (unlock func(), url string, err error) {
	q.mu.Lock()
	t, ok := q.tables[id]
	if !ok {
		t = &table{}
		q.tables[id] = t
	}
	q.mu.Unlock()
	t.look.Lock()
	defer func() {
		if url == "" {
			t.look.Unlock()
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if t.url == "" {
		if t.url, err = q.find(ctx, id, create); err != nil {
			return nil, "", err
		}
	}
	return t.look.Unlock, t.url, nil
}

// find asks for the queue of a table, and makes it if that is wanted.
func (q *Queue) find(ctx context.Context, id dms.TableID, create bool) (string, error) {
	name := queueName(q.cfg.Prefix, id)
	out, err := q.client.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: &name})
	switch {
	case err == nil:
		return aws.ToString(out.QueueUrl), nil
	case !isNoQueue(err):
		return "", fmt.Errorf("find queue %s: %w", name, err)
	case !create:
		return "", nil
	}
	made, err := q.client.CreateQueue(ctx, &awssqs.CreateQueueInput{
		QueueName: &name,
		Attributes: map[string]string{
			string(types.QueueAttributeNameFifoQueue):              "true",
			string(types.QueueAttributeNameDeduplicationScope):     "messageGroup",
			string(types.QueueAttributeNameFifoThroughputLimit):    "perMessageGroupId",
			string(types.QueueAttributeNameMessageRetentionPeriod): "1209600", // 14 days, the most there is
		},
		Tags: map[string]string{"blotter:table": tagValue(id)},
	})
	if err != nil {
		return "", fmt.Errorf("create queue %s: %w", name, err)
	}
	return aws.ToString(made.QueueUrl), nil
}

// noted forgets a queue that somebody has deleted, so that the next call makes it.
func (q *Queue) noted(id dms.TableID, err error) error {
	if isNoQueue(err) {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.tables, id)
	}
	return err
}

func isNoQueue(err error) bool {
	var missing *types.QueueDoesNotExist
	var api smithy.APIError
	return errors.As(err, &missing) || errors.As(err, &api) && api.ErrorCode() == "AWS.SimpleQueueService.NonExistentQueue"
}
