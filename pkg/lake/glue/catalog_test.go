package glue_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	awsglue "github.com/aws/aws-sdk-go-v2/service/glue"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lake/glue"
	"github.com/openblotter/blotter/pkg/lake/glue/gluetest"
	"github.com/openblotter/blotter/pkg/lake/laketest"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// newIO makes a warehouse for one test.
func newIO(t *testing.T) *lake.IO {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "curated")
	bucket, err := local.New("curated", dir)
	if err != nil {
		t.Fatal(err)
	}
	io, err := lake.NewIO(bucket, "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = io.Close() })
	return io
}

func open(t *testing.T, api glue.API, io *lake.IO, prefix string) *glue.Catalog {
	t.Helper()
	cfg := glue.DefaultConfig()
	cfg.Prefix = prefix
	c, err := glue.New(api, io, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contract runs the suite; each test has a prefix of its own.
func contract(t *testing.T, api func(t *testing.T) glue.API) {
	laketest.Run(t, func(t *testing.T) laketest.Site {
		io, api := newIO(t), api(t)
		prefix := strings.ReplaceAll(awstest.Name(t), "-", "_") + "_"
		return laketest.Site{IO: io, Namespace: "rms", Open: func(t *testing.T) lake.Catalog { return open(t, api, io, prefix) }}
	})
}

func TestContractInProcess(t *testing.T) {
	contract(t, func(t *testing.T) glue.API { return gluetest.New().Client(t) })
}

// TestContract runs against the stand-in that AWS_ENDPOINT_URL names, or an account.
func TestContract(t *testing.T) {
	cfg := awstest.Config(t)
	contract(t, func(t *testing.T) glue.API { return withRemoval(t, awsglue.NewFromConfig(cfg)) })
}

// remover removes the databases that a test makes, with their tables.
type remover struct {
	*awsglue.Client
	t *testing.T
}

func withRemoval(t *testing.T, client *awsglue.Client) glue.API { return remover{client, t} }

// CreateDatabase implements glue.API.
func (r remover) CreateDatabase(ctx context.Context, in *awsglue.CreateDatabaseInput, opts ...func(*awsglue.Options)) (*awsglue.CreateDatabaseOutput, error) {
	out, err := r.Client.CreateDatabase(ctx, in, opts...)
	if err == nil {
		r.t.Cleanup(func() {
			if _, err := r.Client.DeleteDatabase(context.Background(), &awsglue.DeleteDatabaseInput{Name: in.DatabaseInput.Name}); err != nil {
				r.t.Error(err)
			}
		})
	}
	return out, err
}
