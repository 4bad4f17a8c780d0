package awstest

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/openblotter/blotter/pkg/awsconfig"
)

// RealAccount lets the tests run, if it is set, against the account that the
// AWS environment names; they make and remove what they need.
const RealAccount = "BLOTTER_TEST_AWS_ACCOUNT"

// Config is the way to the stand-in that AWS_ENDPOINT_URL names. The test is
// skipped where there is none; `.ci/run aws` brings its own.
func Config(t testing.TB) aws.Config {
	t.Helper()
	if os.Getenv("AWS_ENDPOINT_URL") == "" && os.Getenv(RealAccount) == "" {
		t.Skip("no stand-in for AWS: run .ci/standin/run go test ..., or set AWS_ENDPOINT_URL")
	}
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// StandIn reports whether what answers is not AWS itself.
func StandIn() bool { return os.Getenv("AWS_ENDPOINT_URL") != "" }

var names atomic.Int64

// Name makes a name that no other test uses, of lower-case letters, digits and
// "-", short enough for a bucket.
func Name(t testing.TB) string {
	t.Helper()
	return strings.ToLower(fmt.Sprintf("blotter-test-%x-%d-%d", time.Now().UnixNano(), os.Getpid(), names.Add(1)))
}
