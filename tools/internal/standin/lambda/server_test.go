package lambda_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	standin "github.com/openblotter/blotter/tools/internal/standin/lambda"
)

// TestMain makes the test program a function where Lambda, or what stands in for it,
// starts it: one that does what it is told.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") == "" {
		os.Exit(m.Run())
	}
	lambda.Start(func(ctx context.Context, what string) (string, error) {
		switch what {
		case "fail":
			return "", errors.New("as it was told")
		case "die":
			os.Exit(3)
		case "sleep":
			<-ctx.Done()
			select {} // and is not woken by its deadline
		}
		return strings.ToUpper(what), nil
	})
}

func TestRunsEndAsOnLambda(t *testing.T) {
	s, err := standin.Start(standin.Config{Program: os.Args[0], MemoryMB: 512, Timeout: time.Second, Sandboxes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := awslambda.New(awslambda.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	for _, c := range []struct {
		what, failed, says string
		cold               bool
	}{
		{"hello", "", `"HELLO"`, true},
		{"again", "", `"AGAIN"`, false},
		{"fail", "Unhandled", "as it was told", false},
		{"die", "Unhandled", "Runtime.ExitError", false},
		{"hello", "", `"HELLO"`, true},
		{"sleep", "Unhandled", "Task timed out after 1.00 seconds", false},
		{"hello", "", `"HELLO"`, true},
	} {
		payload, err := json.Marshal(c.what)
		if err != nil {
			t.Fatal(err)
		}
		out, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), Payload: payload, LogType: types.LogTypeTail})
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(out.FunctionError) != c.failed || !strings.Contains(string(out.Payload), c.says) || aws.ToString(out.LogResult) == "" {
			t.Errorf("%s: error %q, payload %s", c.what, aws.ToString(out.FunctionError), out.Payload)
		}
		runs := s.Runs()
		if last := runs[len(runs)-1]; last.Cold != c.cold || last.Duration <= 0 {
			t.Errorf("%s: the run was %+v", c.what, last)
		}
	}
	if _, err := client.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String("f"), Payload: []byte(`"x"`), InvocationType: types.InvocationTypeEvent}); err != nil {
		t.Error(err)
	}
}
