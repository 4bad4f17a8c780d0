package s3

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/openblotter/blotter/pkg/objects"
)

// List implements objects.Bucket. It holds one page, of at most 1000 objects.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	page := b.objectPages
	if b.cfg.Versions {
		page = b.versionPages
	}
	return func(yield func(objects.Info, error) bool) {
		for infos, err := range page(ctx, prefix) {
			if err != nil {
				yield(objects.Info{}, fmt.Errorf("list objects %q of bucket %s: %w", b.cfg.Prefix+prefix, b.cfg.Bucket, err))
				return
			}
			for _, info := range infos {
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

func (b *Bucket) objectPages(ctx context.Context, prefix string) iter.Seq2[[]objects.Info, error] {
	return func(yield func([]objects.Info, error) bool) {
		pages := awss3.NewListObjectsV2Paginator(b.client, &awss3.ListObjectsV2Input{
			Bucket: &b.cfg.Bucket, Prefix: b.key(prefix), EncodingType: types.EncodingTypeUrl,
		}, func(o *awss3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			infos := make([]objects.Info, 0, len(out.Contents))
			for _, o := range out.Contents {
				info, err := b.listed(o.Key, out.EncodingType, o.ETag, o.Size, o.LastModified)
				if err != nil {
					yield(nil, err)
					return
				}
				infos = append(infos, info)
			}
			if !yield(infos, nil) {
				return
			}
		}
	}
}

// versionPages lists the newest version of each object; older ones, and objects
// whose newest version is a mark of deletion, are passed over.
func (b *Bucket) versionPages(ctx context.Context, prefix string) iter.Seq2[[]objects.Info, error] {
	return func(yield func([]objects.Info, error) bool) {
		pages := awss3.NewListObjectVersionsPaginator(b.client, &awss3.ListObjectVersionsInput{
			Bucket: &b.cfg.Bucket, Prefix: b.key(prefix), EncodingType: types.EncodingTypeUrl,
		}, func(o *awss3.ListObjectVersionsPaginatorOptions) { o.StopOnDuplicateToken = true })
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			infos := make([]objects.Info, 0, len(out.Versions))
			for _, o := range out.Versions {
				if !aws.ToBool(o.IsLatest) {
					continue
				}
				info, err := b.listed(o.Key, out.EncodingType, o.ETag, o.Size, o.LastModified)
				if err != nil {
					yield(nil, err)
					return
				}
				info.VersionID = versionOf(o.VersionId)
				infos = append(infos, info)
			}
			if !yield(infos, nil) {
				return
			}
		}
	}
}

func (b *Bucket) listed(key *string, encoding types.EncodingType, etag *string, size *int64, modified *time.Time) (objects.Info, error) {
	name := aws.ToString(key)
	// XML cannot hold every key that S3 does, so they come encoded.
	if encoding == types.EncodingTypeUrl {
		var err error
		if name, err = url.QueryUnescape(name); err != nil {
			return objects.Info{}, fmt.Errorf("read the listed key %q: %w", aws.ToString(key), err)
		}
	}
	name, ok := strings.CutPrefix(name, b.cfg.Prefix)
	if !ok {
		return objects.Info{}, fmt.Errorf("the listing gives the key %q outside of its prefix", name)
	}
	return objects.Info{Key: name, ETag: unquoted(etag), Size: aws.ToInt64(size), LastModified: timeOf(modified)}, nil
}
