package places

import (
	"context"
	"fmt"
	"strings"

	"github.com/openblotter/blotter/pkg/awsconfig"
	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

// Open opens a bucket by the scheme of its address: a folder (file) or S3 (s3), as
// the AWS environment says; in a run of Glue that is its role. The region is that of
// the place, if it names one: nobody promises a worker one.
func Open(ctx context.Context, p plan.Place, readOnly bool) (objects.Bucket, func() error, error) {
	rest, ok := strings.CutPrefix(p.URI, "s3://")
	if !ok {
		return rows.OpenFolder(ctx, p, readOnly)
	}
	bucket, prefix, _ := strings.Cut(rest, "/")
	if bucket == "" || bucket != p.Name {
		return nil, nil, fmt.Errorf("open bucket %s: %s is no s3://%s[/PREFIX]", p.Name, p.URI, p.Name)
	}
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	cfg, err := awsconfig.Load(ctx, awsconfig.Region(p.Region))
	if err != nil {
		return nil, nil, err
	}
	b, err := s3.New(s3.NewClient(cfg), s3.Config{Bucket: bucket, Prefix: prefix, ReadOnly: readOnly})
	if err != nil {
		return nil, nil, err
	}
	return b, func() error { return nil }, nil
}

var _ rows.Open = Open
