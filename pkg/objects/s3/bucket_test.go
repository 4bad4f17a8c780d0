package s3_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/objects/objectstest"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

// limits send, copy and fetch by parts what tests can hold.
var limits = s3.Limits{Part: 5 << 20, Copy: 6 << 20, CopyPart: 5 << 20, Block: 1000}

// bucket makes a bucket of S3 and opens it; both end with the test.
func bucket(t *testing.T, client *awss3.Client, cfg s3.Config, versions bool) *s3.Bucket {
	t.Helper()
	cfg.Bucket = awstest.Name(t)
	if _, err := client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &cfg.Bucket}); err != nil {
		t.Fatal(err)
	}
	if versions {
		_, err := client.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{Bucket: &cfg.Bucket,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { empty(t, client, cfg.Bucket) })
	b, err := s3.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// empty removes a bucket with everything in it. Parts of uploads that were never
// ended are faults of the code under test.
func empty(t *testing.T, client *awss3.Client, name string) {
	ctx := context.WithoutCancel(t.Context())
	uploads, err := client.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: &name})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "NoSuchUpload" { // gofakes3 says so where there is none
		err, uploads = nil, &awss3.ListMultipartUploadsOutput{}
	}
	if err != nil {
		t.Error(err)
	} else if len(uploads.Uploads) > 0 {
		t.Errorf("%d uploads were left", len(uploads.Uploads))
	}
	pages := awss3.NewListObjectVersionsPaginator(client, &awss3.ListObjectVersionsInput{Bucket: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		for _, v := range page.Versions {
			_, _ = client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &name, Key: v.Key, VersionId: v.VersionId})
		}
		for _, v := range page.DeleteMarkers {
			_, _ = client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &name, Key: v.Key, VersionId: v.VersionId})
		}
	}
	_, _ = client.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: &name})
}

// notInProcess are the known limits of gofakes3: it ignores If-None-Match of
// CompleteMultipartUpload and If-Match of reads, cannot copy parts, and gives
// version ids to objects of buckets without versions.
var notInProcess = []objectstest.Without{
	{Test: "ExistsBig", Reason: "gofakes3 ignores If-None-Match of CompleteMultipartUpload"},
	{Test: "CreateRaceBig", Reason: "gofakes3 ignores If-None-Match of CompleteMultipartUpload"},
	{Test: "CopyBig", Reason: "gofakes3 has no UploadPartCopy"},
	{Test: "Pinned", Reason: "gofakes3 ignores If-Match of reads"},
	{Test: "PinnedAfterReplacement", Reason: "gofakes3 ignores If-Match of reads"},
	{Test: "VersionStays", Reason: "gofakes3 ignores If-Match of reads"},
}

func TestContractInProcess(t *testing.T) {
	client := s3.NewClient(awstest.S3InProcess(t))
	objectstest.Run(t, func(t *testing.T) objects.Bucket {
		return bucket(t, client, s3.Config{Prefix: "some/prefix/", Limits: limits}, false)
	}, notInProcess...)
}

func TestContract(t *testing.T) {
	client := s3.NewClient(awstest.Config(t))
	objectstest.Run(t, func(t *testing.T) objects.Bucket { return bucket(t, client, s3.Config{}, false) })
}

func TestContractVersions(t *testing.T) {
	client := s3.NewClient(awstest.Config(t))
	objectstest.Run(t, func(t *testing.T) objects.Bucket {
		return bucket(t, client, s3.Config{Versions: true, Prefix: "p/", Limits: limits}, true)
	})
}

// TestCopyBetweenAdapters copies between a folder and S3, and between buckets of
// two clients, both ways.
func TestCopyBetweenAdapters(t *testing.T) {
	cfg := awstest.S3InProcess(t)
	remote := bucket(t, s3.NewClient(cfg), s3.Config{Limits: limits}, false)
	foreign := bucket(t, s3.NewClient(cfg), s3.Config{Limits: limits}, false)
	folder, err := local.New("folder", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	objectstest.CopyBetween(t, folder, remote)
	objectstest.CopyBetween(t, remote, foreign)
	if err := remote.Remove(t.Context(), "b/k"); err != nil {
		t.Fatal(err)
	}
	objectstest.CopyBetween(t, foreign, folder)
}

func TestReadOnly(t *testing.T) {
	b, err := s3.New(s3.NewClient(awstest.S3InProcess(t)), s3.Config{Bucket: "raw", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	_, create := b.Create(t.Context(), "k")
	_, cp := b.Copy(t.Context(), b, "k", objects.Version{}, "l")
	for what, err := range map[string]error{"Create": create, "Copy": cp, "Remove": b.Remove(t.Context(), "k")} {
		if !errors.Is(err, objects.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestKeys: a key that S3 cannot hold is refused at once, and is not there.
func TestKeys(t *testing.T) {
	b := bucket(t, s3.NewClient(awstest.S3InProcess(t)), s3.Config{}, false)
	for _, key := range []string{"", strings.Repeat("k", 1025), "a\xff"} {
		if _, err := b.Create(t.Context(), key); !errors.Is(err, objects.ErrKey) {
			t.Errorf("Create %.10q: %v", key, err)
		}
		if _, err := b.Stat(t.Context(), key); !errors.Is(err, objects.ErrNotFound) {
			t.Errorf("Stat %.10q: %v", key, err)
		}
	}
}

// TestNoBucket: a bucket that is missing is a fault, not a missing object.
func TestNoBucket(t *testing.T) {
	b, err := s3.New(s3.NewClient(awstest.S3InProcess(t)), s3.Config{Bucket: "nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range b.List(t.Context(), "") {
		if err == nil || errors.Is(err, objects.ErrNotFound) {
			t.Errorf("List: %v", err)
		}
	}
}
