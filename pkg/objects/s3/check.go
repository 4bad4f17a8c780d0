package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ErrNoBucket: there is no bucket of this name.
var ErrNoBucket = errors.New("there is no such S3 bucket")

// Check asks S3 whether the bucket is there and whether the caller may list it. The
// error says which of them is not so, and what to do. It writes nothing, so that the
// right to write shows with the first object only.
func (b *Bucket) Check(ctx context.Context) error {
	_, err := b.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &b.cfg.Bucket})
	if err == nil {
		return nil
	}
	region := b.client.Options().Region
	switch statusOf(err) { // the answer has no body that would tell more
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s, asked in region %s: make it, or name another", ErrNoBucket, b.cfg.Bucket, region)
	case http.StatusForbidden:
		return fmt.Errorf("S3 bucket %s may not be listed: the credentials need s3:ListBucket for it, or it belongs to somebody else: %w", b.cfg.Bucket, err)
	case http.StatusMovedPermanently, http.StatusBadRequest:
		return fmt.Errorf("S3 bucket %s is not in region %s: set AWS_REGION to its own: %w", b.cfg.Bucket, region, err)
	}
	return fmt.Errorf("look for S3 bucket %s: %w", b.cfg.Bucket, err)
}

// KeepsVersions reports whether a bucket keeps versions of its objects, or has kept
// some. It needs s3:GetBucketVersioning: without an answer nobody knows by what an
// object is to be named, so that an error is final.
func KeepsVersions(ctx context.Context, client *awss3.Client, bucket string) (bool, error) {
	out, err := client.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: &bucket})
	switch {
	case err == nil:
		return out.Status == types.BucketVersioningStatusEnabled || out.Status == types.BucketVersioningStatusSuspended, nil
	case statusOf(err) == http.StatusForbidden:
		return false, fmt.Errorf("ask whether S3 bucket %s keeps versions: the credentials need s3:GetBucketVersioning for it: %w", bucket, err)
	}
	return false, fmt.Errorf("ask whether S3 bucket %s keeps versions: %w", bucket, err)
}

// CreateBucket makes a bucket in the client's region, which keeps versions if that is
// wanted. One that the caller has already is left as it is, but that versions are
// turned on. What else it should have (encryption, blocked public access, lifecycle
// rules) is the operator's choice.
func CreateBucket(ctx context.Context, client *awss3.Client, bucket string, versions bool) error {
	in := &awss3.CreateBucketInput{Bucket: &bucket}
	if region := client.Options().Region; region != "us-east-1" { // which it is without one
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(region)}
	}
	_, err := client.CreateBucket(ctx, in)
	var mine *types.BucketAlreadyOwnedByYou
	if err != nil && !errors.As(err, &mine) {
		return fmt.Errorf("create S3 bucket %s: %w", bucket, err)
	}
	if !versions {
		return nil
	}
	_, err = client.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		return fmt.Errorf("have S3 bucket %s keep versions: %w", bucket, err)
	}
	return nil
}
