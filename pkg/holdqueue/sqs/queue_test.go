package sqs

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/holdqueue"
	"github.com/openblotter/blotter/pkg/holdqueue/holdqueuetest"
)

func TestMain(m *testing.M) { os.Exit(awstest.RunModelsBriefly(m)) }

var reports = dms.TableID{DB: "rms", Table: "reports"}

func item(n int) holdqueue.Item {
	return holdqueue.Item{FileID: dms.FileID(fmt.Sprintf("%032x", n)), Order: dms.FileOrder(fmt.Sprintf("%08d", n))}
}

// open makes queues of a prefix that is used by this test alone.
func open(t *testing.T, client *awssqs.Client) *Queue {
	t.Helper()
	cfg := DefaultConfig()
	name := awstest.Name(t)
	cfg.Prefix = "t" + name[len(name)-20:] + "-"
	if awstest.StandIn() {
		cfg.Settle = 0 // it knows at once what is there
	}
	q, err := New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		pages := awssqs.NewListQueuesPaginator(client, &awssqs.ListQueuesInput{QueueNamePrefix: &cfg.Prefix, MaxResults: aws.Int32(100)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return
			}
			for _, url := range page.QueueUrls {
				_, _ = client.DeleteQueue(ctx, &awssqs.DeleteQueueInput{QueueUrl: &url})
			}
		}
	})
	return q
}

func TestContract(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	holdqueuetest.Run(t, func(t *testing.T) holdqueue.Queue { return open(t, client) })
}

// TestNames: names are of what SQS allows, and no two tables share one.
func TestNames(t *testing.T) {
	tables := []dms.TableID{
		reports, {DB: "rms", Table: "reports_2"}, {DB: "rms", Table: "reports.2"}, {DB: "rms", Table: "reports-2"},
		{DB: "rms", Table: "reports 2"}, {DB: "rms", Table: "@txn"}, {DB: "rms", Table: "Größe"}, {DB: "rms", Table: "Gr__e"},
		{DB: "rms", Table: strings.Repeat("long", 20)}, {DB: "rms", Table: strings.Repeat("long", 20) + "er"},
		{DB: "rms", Table: strings.Repeat("é", 40)}, {DB: "rms", Table: strings.Repeat("é", 41)},
	}
	named := map[string]dms.TableID{}
	for _, table := range tables {
		name := queueName(strings.Repeat("p", maxPrefix), table)
		if other, ok := named[name]; ok {
			t.Errorf("%s and %s are both %s", table, other, name)
		}
		named[name] = table
		if len(name) > maxName || !strings.HasPrefix(name, strings.Repeat("p", maxPrefix)) {
			t.Errorf("%s: %d bytes", name, len(name))
		}
		for _, c := range []byte(strings.TrimSuffix(name, fifo)) {
			if !plain(c) && c != '_' {
				t.Errorf("%s holds %q", name, c)
			}
		}
	}
	if got := queueName("blotter-hold-", reports); got != "blotter-hold-rms_2Ereports.fifo" {
		t.Errorf("got %s", got)
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []Config{
		{Prefix: "a.b", Hidden: 1e9}, {Prefix: strings.Repeat("p", maxPrefix+1), Hidden: 1e9}, {Hidden: 1e9, Settle: 1}, {},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("%+v is valid", c)
		}
	}
}

// TestDeletedQueue: a queue that somebody deletes is made again by the call
// after the one that noticed.
func TestDeletedQueue(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	q := open(t, client)
	if err := q.Hold(t.Context(), reports, item(1)); err != nil {
		t.Fatal(err)
	}
	url := q.tables[reports].url
	if _, err := client.DeleteQueue(t.Context(), &awssqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
		t.Fatal(err)
	}
	if err := q.Hold(t.Context(), reports, item(2)); err == nil {
		t.Fatal("a deleted queue took a message")
	}
	if err := q.Hold(t.Context(), reports, item(2)); err != nil {
		t.Fatal(err)
	}
	if n, err := q.Len(t.Context(), reports); n != 1 || err != nil {
		t.Errorf("%d files, %v", n, err)
	}
}

// TestCount: files are counted that another process looks at, and nothing is taken out of
// sight for it.
func TestCount(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	q := open(t, client)
	if n, err := q.Count(t.Context(), reports); n != 0 || err != nil {
		t.Errorf("without a queue: %d, %v", n, err)
	}
	if err := q.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for n := range 12 {
		if err := q.Hold(t.Context(), reports, item(n)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &q.tables[reports].url, MaxNumberOfMessages: 3, VisibilityTimeout: 60})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := q.Count(t.Context(), reports); n != 12 || err != nil {
		t.Errorf("counted %d, %v", n, err)
	}
	if items, err := q.Held(t.Context(), reports, 100); len(items) != 9 || err != nil {
		t.Errorf("to count has hidden some: %d are shown, %v", len(items), err)
	}
}

// TestSecondProcess: what one process holds another sees and releases, and what
// is there twice is shown once and released whole.
func TestSecondProcess(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	one := open(t, client)
	two, err := New(client, one.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 35 {
		if err := one.Hold(t.Context(), reports, item(n)); err != nil {
			t.Fatal(err)
		}
	}
	two.released.Add(heldFile{reports, item(3).FileID}, "again") // as if five minutes had passed
	for range 2 {
		if err := two.Hold(t.Context(), reports, item(3)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := two.Len(t.Context(), reports); n != 35 || err != nil {
		t.Errorf("%d files, %v", n, err)
	}
	for n := range 34 {
		if err := two.Release(t.Context(), reports, item(n).FileID); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.Release(t.Context(), reports, item(3).FileID); err != nil {
		t.Fatal(err)
	}
	items, err := one.Held(t.Context(), reports, 10)
	if err != nil || len(items) != 1 || items[0] != item(34) {
		t.Errorf("held %v, %v", items, err)
	}
}

// TestForeignMessage: a message that is none of ours is named, not passed over.
func TestForeignMessage(t *testing.T) {
	client := awssqs.NewFromConfig(awstest.Config(t))
	q := open(t, client)
	if err := q.Hold(t.Context(), reports, item(1)); err != nil {
		t.Fatal(err)
	}
	url := q.tables[reports].url
	if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("hello"),
		MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d")}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Held(t.Context(), reports, 10); err == nil || !strings.Contains(err.Error(), "none of ours") {
		t.Errorf("got %v", err)
	}
}

// TestLookThatEnds: what a look took out of sight is put back, all of it, when its context
// ends in between, and when one of the messages is none of ours.
func TestLookThatEnds(t *testing.T) {
	for name, c := range map[string]struct {
		first string
		ends  bool
		want  string
	}{
		"the context ends": {`{\"file_id\":\"f\"}`, true, context.Canceled.Error()},
		"a foreign one":    {`hello`, false, "none of ours"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			shown := ""
			cfg := aws.Config{Region: "us-east-1", RetryMaxAttempts: 1, HTTPClient: http.DefaultClient, Credentials: aws.AnonymousCredentials{}}
			awstest.NewWire(&cfg).Set(func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				answer := "{}"
				switch r.Header.Get("X-Amz-Target") {
				case "AmazonSQS.ReceiveMessage":
					if c.ends {
						end()
					}
					answer = fmt.Sprintf(`{"Messages":[{"Body":"%s","ReceiptHandle":"handle-a"},{"Body":"x","ReceiptHandle":"handle-b"}]}`, c.first)
				case "AmazonSQS.ChangeMessageVisibilityBatch":
					shown = string(body)
				}
				return awstest.Answer(r, http.StatusOK, "application/x-amz-json-1.0", answer), nil
			}, nil)
			q, err := New(awssqs.NewFromConfig(cfg, func(o *awssqs.Options) { o.DisableMessageChecksumValidation = true }), DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			err = q.look(ctx, "https://sqs.us-east-1.amazonaws.com/1/q", func(seen) (keep, goOn bool, err error) { return true, true, ctx.Err() })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the look ended with %v", err)
			}
			if !strings.Contains(shown, "handle-a") || !strings.Contains(shown, "handle-b") {
				t.Errorf("put back was %s", shown)
			}
		})
	}
}
