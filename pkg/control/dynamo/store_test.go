package dynamo

import (
	"context"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/control/controltest"
)

func TestMain(m *testing.M) { os.Exit(awstest.RunModelsBriefly(m)) }

func testTable(t *testing.T, client *dynamodb.Client) string {
	t.Helper()
	table := awstest.Name(t)
	if err := CreateTable(t.Context(), client, table); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &table})
	})
	return table
}

func open(t *testing.T, client *dynamodb.Client, table string, opts ...Option) *Store {
	t.Helper()
	s, err := Open(t.Context(), client, table, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	controltest.Run(t, func(t *testing.T) controltest.Store { return open(t, client, testTable(t, client)) })
}

// TestContractByParts: everything that does not fit goes by parts.
func TestContractByParts(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	controltest.Run(t, func(t *testing.T) controltest.Store {
		return open(t, client, testTable(t, client), WithLimits(Limits{Inline: 1, Files: 1, Bytes: 1, Part: 64}))
	})
}
