package onaws

import (
	"context"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest/stack"
	"github.com/openblotter/blotter/tools/internal/iam"
)

// rolesFile is the template of the roles.
const rolesFile = "../../../deploy/aws/roles.yaml"

// account is where the stand-in keeps everything.
var account = iam.Account{Partition: "aws", Region: "us-east-1", ID: "000000000000"}

// door is what a role calls in place of AWS.
type door struct {
	*iam.Door
	url string
}

// openDoors gives each role a door that lets through what its policy in the template says,
// by the name of its user on the NATS server.
func openDoors(t *testing.T, parameters map[string]string, refused func(why string)) map[string]door {
	t.Helper()
	values := map[string]string{"AWS::Partition": account.Partition, "AWS::Region": account.Region, "AWS::AccountId": account.ID}
	for name, value := range parameters {
		values[name] = value
	}
	roles, err := iam.Read(rolesFile, values)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	doors := map[string]door{}
	for user, name := range map[string]string{
		"ingest-router": "IngestRouter", "classifier": "Classifier", "lock-manager": "LockManager", "curator": "Curator",
		"lambda-transformer": "LambdaTransformer", "glue-dispatcher": "GlueDispatcher", "operator": "Operators", "auditor": "Auditors", "function": "Function",
		"repairs": "Repairs", "reconcile": "Reconcile",
	} {
		role, there := roles[name]
		if !there {
			t.Fatalf("%s has no role %s", rolesFile, name)
		}
		d := iam.NewDoor(role, account, to, refused)
		server := httptest.NewServer(d)
		t.Cleanup(server.Close)
		doors[user] = door{d, server.URL}
	}
	return doors
}

// deployRoles has CloudFormation take the template of the roles.
func deployRoles(t *testing.T, parameters map[string]string) {
	t.Helper()
	template, err := os.ReadFile(rolesFile)
	if err != nil {
		t.Fatal(err)
	}
	stack.Deploy(t, string(template), parameters)
}

// refusals counts what roles were refused; the first ends whatever is awaited.
type refusals struct {
	mu   sync.Mutex
	all  map[string]int
	stop context.CancelFunc
}

func (r *refusals) add(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[why]++
	r.stop()
}

// take gives them, and forgets them.
func (r *refusals) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Sorted(maps.Keys(r.all))
	clear(r.all)
	return all
}

// TestRefused: a role that calls what its policy lacks is refused as AWS does it, whatever
// the protocol, and says so.
func TestRefused(t *testing.T) {
	s := prepare(t)
	for role, says := range map[string]string{"classifier": "s3:ListBucket", "lock-manager": "s3:ListBucket", "ingest-router": "s3:ListBucket"} {
		out, err := s.runWith(append(s.as("operator"), "AWS_ENDPOINT_URL="+s.doors[role].url), "cat", "rms.reports")
		if err == nil {
			t.Errorf("as %s the rows of a table were read:\n%s", role, out)
		}
		if refused := s.refused.take(); len(refused) == 0 || !strings.Contains(out, says) {
			t.Errorf("%s was refused %q, and says %s", role, refused, out)
		}
	}
}
