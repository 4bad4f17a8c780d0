package dynamo

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/control"
)

const (
	transactCall = "DynamoDB_20120810.TransactWriteItems"
	jsonType     = "application/x-amz-json-1.0"
)

// TestThrottledAndInConflict: DynamoDB says no some times and then yes; nobody
// else notices.
func TestThrottledAndInConflict(t *testing.T) {
	cfg := awstest.Config(t)
	wire := awstest.NewWire(&cfg)
	client := dynamodb.NewFromConfig(cfg)
	s := open(t, client, testTable(t, client))
	for i, body := range []string{
		`{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}`,
		`{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}`,
		`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"conflict",` +
			`"CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}`,
		`{"__type":"com.amazonaws.dynamodb.v20120810#TransactionInProgressException","message":"wait"}`,
	} {
		refusals := 2
		wire.Set(func(r *http.Request) (*http.Response, error) {
			if awstest.Target(transactCall)(r) && refusals > 0 {
				refusals--
				return awstest.Answer(r, http.StatusBadRequest, jsonType, body), nil
			}
			return nil, nil
		}, nil)
		if err := s.Commit(t.Context(), control.Change{Table: reports, Expect: uint64(i), State: []byte("s")}); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if n := wire.Count(awstest.Target(transactCall)); n != 3 {
			t.Errorf("%s: %d calls, want 3", body, n)
		}
	}
}

// TestLostAnswer: a commit whose answer was lost is not taken for another's.
func TestLostAnswer(t *testing.T) {
	cfg := awstest.Config(t)
	wire := awstest.NewWire(&cfg)
	client := dynamodb.NewFromConfig(cfg)
	s := open(t, client, testTable(t, client))
	for v := range uint64(2) {
		wire.LoseOnce(awstest.Target(transactCall))
		if err := s.Commit(t.Context(), control.Change{Table: reports, Expect: v, State: []byte("s")}); err != nil {
			t.Errorf("version %d: %v", v+1, err)
		}
	}
	wire.LoseOnce(awstest.Target(transactCall))
	if err := s.PutObject(t.Context(), control.ObjectRow{FileID: "00", State: control.ObjectPending}); err != nil {
		t.Error(err)
	}
}

// TestForeignTable: a table that is no control store is named as such.
func TestForeignTable(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	if _, err := Open(t.Context(), client, "no-such-table"); err == nil {
		t.Error("a table that is not there was opened")
	}
	name := awstest.Name(t)
	in := Schema(name)
	in.LocalSecondaryIndexes = in.LocalSecondaryIndexes[1:]
	in.AttributeDefinitions = append(in.AttributeDefinitions[:2:2], in.AttributeDefinitions[3:]...)
	in.LocalSecondaryIndexes[0].Projection = &types.Projection{ProjectionType: types.ProjectionTypeAll}
	if _, err := client.CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), client, name)
	if err == nil || !strings.Contains(err.Error(), "no local index live") || !strings.Contains(err.Error(), "published does not project") {
		t.Errorf("opened a table without an index: %v", err)
	}
}

// TestManyPages reads more than DynamoDB gives at once.
func TestManyPages(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	s := open(t, client, testTable(t, client))
	c := large(0, 150, "waiting")
	for i := range c.Files {
		c.Files[i].Body = make([]byte, 10_000)
	}
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for what, list := range map[string]func() (int, error){
		"live": func() (int, error) { rows, err := s.LiveFiles(t.Context(), reports); return len(rows), err },
		"all":  func() (int, error) { rows, err := s.Files(t.Context(), reports, nil, 1000); return len(rows), err },
	} {
		if n, err := list(); n != 150 || err != nil {
			t.Errorf("%s: %d rows, %v", what, n, err)
		}
	}
}
