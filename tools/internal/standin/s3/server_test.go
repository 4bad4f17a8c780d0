package s3_test

import (
	"testing"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/objectstest"
	"github.com/openblotter/blotter/pkg/objects/s3"
	standin "github.com/openblotter/blotter/tools/internal/standin/s3"
)

// TestContract: what is known to differ is all that does.
func TestContract(t *testing.T) {
	server, err := standin.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
		"AWS_SECRET_ACCESS_KEY": "test", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewClient(cfg)
	objectstest.Run(t, func(t *testing.T) objects.Bucket {
		bucket := awstest.Name(t)
		if err := s3.CreateBucket(t.Context(), client, bucket, true); err != nil {
			t.Fatal(err)
		}
		b, err := s3.New(client, s3.Config{Bucket: bucket, Versions: true})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}, objectstest.Without{Test: "ListMany", Reason: "gofakes3 never ends a listing of versions of more than one page"},
		objectstest.Without{Test: "Big", Reason: "gofakes3 gives an object that was uploaded in parts two ETags"},
		objectstest.Without{Test: "VersionStays", Reason: "gofakes3 copies the newest version, whichever is asked for"},
		objectstest.Without{Test: "ExistsBig", Reason: "gofakes3 ignores If-None-Match of CompleteMultipartUpload"},
		objectstest.Without{Test: "CreateRaceBig", Reason: "gofakes3 ignores If-None-Match of CompleteMultipartUpload"},
		objectstest.Without{Test: "CopyBig", Reason: "gofakes3 has no UploadPartCopy"})
}
