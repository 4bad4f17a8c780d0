package places

import (
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/jobs"
	"github.com/openblotter/blotter/pkg/jobs/jobstest"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows/rowstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

func TestRunnerOnS3InProcess(t *testing.T) {
	onS3(t, s3.NewClient(awstest.S3InProcess(t)), jobstest.Skip{Test: "object changed", Reason: "gofakes3 ignores If-Match of reads"})
}

func TestRunnerOnS3(t *testing.T) { onS3(t, s3.NewClient(awstest.Config(t))) }

// onS3 checks that the contract of runners holds where the plan's places are buckets
// of S3, the staging one below a prefix.
func onS3(t *testing.T, c *awss3.Client, skips ...jobstest.Skip) {
	t.Helper()
	newBucket := func(t *testing.T, prefix string) objects.Bucket {
		name := awstest.Name(t)
		if _, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
		b, err := s3.New(c, s3.Config{Bucket: name, Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	jobstest.RunBetween(t, func(t *testing.T) (raw, staging objects.Bucket) {
		return newBucket(t, ""), newBucket(t, "blotter/")
	}, func(t *testing.T, raw, staging objects.Bucket) jobs.Runner {
		return &rowstest.Runner{T: t, Open: Open, Staging: staging, Maker: plan.Maker{
			Raw:     plan.Place{Name: raw.Name(), URI: "s3://" + raw.Name()},
			Staging: plan.Place{Name: staging.Name(), URI: "s3://" + staging.Name() + "/blotter"},
		}}
	}, skips...)
}

// TestTheRegionIsThatOfThePlace: a worker may have none.
func TestTheRegionIsThatOfThePlace(t *testing.T) {
	s3.NewClient(awstest.S3InProcess(t))
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		t.Setenv(name, "")
	}
	at := plan.Place{Name: "raw", URI: "s3://raw"}
	if _, _, err := Open(t.Context(), at, true); err == nil || !strings.Contains(err.Error(), "region") {
		t.Errorf("without any region: %v", err)
	}
	at.Region = "eu-central-1"
	if _, _, err := Open(t.Context(), at, true); err != nil {
		t.Errorf("in a region that the place names: %v", err)
	}
}

// TestRawIsOnlyRead: whatever goes wrong, no object of DMS is changed.
func TestRawIsOnlyRead(t *testing.T) {
	s3.NewClient(awstest.S3InProcess(t))
	for _, uri := range []string{"s3://raw", "file://" + t.TempDir()} {
		b, closeBucket, err := Open(t.Context(), plan.Place{Name: "raw", URI: uri}, true)
		if err != nil {
			t.Fatal(err)
		}
		if w, err := b.Create(t.Context(), "key"); err == nil {
			_, err = w.Commit(t.Context())
			t.Errorf("%s: a file was created (%v)", uri, err)
		}
		if err := closeBucket(); err != nil {
			t.Error(err)
		}
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	s3.NewClient(awstest.S3InProcess(t))
	for uri, says := range map[string]string{
		"s3://":              "is no s3://raw[/PREFIX]",
		"s3://another":       "is no s3://raw[/PREFIX]",
		"https://raw.s3.aws": "is no file:///FOLDER",
		"raw":                "is no file:///FOLDER",
	} {
		if _, _, err := Open(t.Context(), plan.Place{Name: "raw", URI: uri}, true); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q gives %v", uri, err)
		}
	}
}
