package s3

import (
	"context"
	"errors"
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
	return func(yield func(objects.Info, error) bool) {
		for page, err := range b.pages(ctx, prefix, "") {
			if err != nil {
				yield(objects.Info{}, err)
				return
			}
			for _, info := range page.infos {
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// page is a part of a listing: what it has come to, and the key that it has come up to.
type page struct {
	infos []objects.Info
	upTo  string
}

// pages lists what lies behind the key after; "" is before all keys.
func (b *Bucket) pages(ctx context.Context, prefix, after string) iter.Seq2[page, error] {
	list := b.objectPages
	if b.cfg.Versions {
		list = b.versionPages
	}
	return func(yield func(page, error) bool) {
		start := after
		if !strings.HasPrefix(after, prefix) {
			if after > prefix {
				return // it is behind all of them
			}
			start = "" // and here before: the prefix alone says where to begin
		}
		for p, err := range list(ctx, prefix, start) {
			if err != nil {
				yield(page{}, fmt.Errorf("list objects %q of bucket %s: %w", b.cfg.Prefix+prefix, b.cfg.Bucket, err))
				return
			}
			for len(p.infos) > 0 && p.infos[0].Key <= start && start != "" {
				p.infos = p.infos[1:]
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (b *Bucket) objectPages(ctx context.Context, prefix, after string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		in := &awss3.ListObjectsV2Input{
			Bucket: &b.cfg.Bucket, Prefix: b.key(prefix), EncodingType: types.EncodingTypeUrl, MaxKeys: &b.limits.Page,
		}
		if after != "" {
			in.StartAfter = b.key(after)
		}
		pages := awss3.NewListObjectsV2Paginator(b.client, in, func(o *awss3.ListObjectsV2PaginatorOptions) { o.StopOnDuplicateToken = true })
		for pages.HasMorePages() {
			out, err := pages.NextPage(ctx)
			if err != nil {
				yield(page{}, err)
				return
			}
			p := page{infos: make([]objects.Info, 0, len(out.Contents))}
			for _, o := range out.Contents {
				info, err := b.listed(o.Key, out.EncodingType, o.ETag, o.Size, o.LastModified)
				if err != nil {
					yield(page{}, err)
					return
				}
				p.infos, p.upTo = append(p.infos, info), info.Key
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// errNoProgress is why a listing breaks off that S3 does not let go on.
var errNoProgress = errors.New("S3 says that there is more, and gives nowhere to go on from")

// versionPages lists the newest version of each object; older ones, and objects
// whose newest version is a mark of deletion, are passed over. The markers come encoded
// as the keys do, and go back as they are: the paginator of the SDK would send them
// encoded, which names another place.
func (b *Bucket) versionPages(ctx context.Context, prefix, after string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		in := &awss3.ListObjectVersionsInput{
			Bucket: &b.cfg.Bucket, Prefix: b.key(prefix), EncodingType: types.EncodingTypeUrl, MaxKeys: &b.limits.Page,
		}
		if after != "" {
			in.KeyMarker = b.key(after)
		}
		for more := true; more; {
			out, err := b.client.ListObjectVersions(ctx, in)
			if err != nil {
				yield(page{}, err)
				return
			}
			p, err := b.versionPage(out)
			if err == nil {
				more, err = goOn(in, out)
			}
			if err != nil {
				yield(page{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (b *Bucket) versionPage(out *awss3.ListObjectVersionsOutput) (page, error) {
	p := page{infos: make([]objects.Info, 0, len(out.Versions))}
	for _, o := range out.Versions {
		info, err := b.listed(o.Key, out.EncodingType, o.ETag, o.Size, o.LastModified)
		if err != nil {
			return page{}, err
		}
		p.upTo = max(p.upTo, info.Key)
		if aws.ToBool(o.IsLatest) {
			info.VersionID = versionOf(o.VersionId)
			p.infos = append(p.infos, info)
		}
	}
	for _, o := range out.DeleteMarkers {
		info, err := b.listed(o.Key, out.EncodingType, nil, nil, nil)
		if err != nil {
			return page{}, err
		}
		p.upTo = max(p.upTo, info.Key)
	}
	return p, nil
}

// goOn has in ask for what follows out, if there is more.
func goOn(in *awss3.ListObjectVersionsInput, out *awss3.ListObjectVersionsOutput) (more bool, err error) {
	if !aws.ToBool(out.IsTruncated) {
		return false, nil
	}
	key, err := decoded(out.NextKeyMarker, out.EncodingType)
	if err != nil {
		return false, err
	}
	version := aws.ToString(out.NextVersionIdMarker)
	if key == "" || key < aws.ToString(in.KeyMarker) || key == aws.ToString(in.KeyMarker) && version == aws.ToString(in.VersionIdMarker) {
		return false, fmt.Errorf("%w: behind %q it names %q", errNoProgress, aws.ToString(in.KeyMarker), key)
	}
	in.KeyMarker, in.VersionIdMarker = &key, out.NextVersionIdMarker
	return true, nil
}

// decoded reads a key as S3 lists it: XML cannot hold every key that S3 does, so they
// come encoded.
func decoded(key *string, encoding types.EncodingType) (string, error) {
	name := aws.ToString(key)
	if encoding != types.EncodingTypeUrl {
		return name, nil
	}
	name, err := url.QueryUnescape(name)
	if err != nil {
		return "", fmt.Errorf("read the listed key %q: %w", aws.ToString(key), err)
	}
	return name, nil
}

func (b *Bucket) listed(key *string, encoding types.EncodingType, etag *string, size *int64, modified *time.Time) (objects.Info, error) {
	name, err := decoded(key, encoding)
	if err != nil {
		return objects.Info{}, err
	}
	name, ok := strings.CutPrefix(name, b.cfg.Prefix)
	if !ok {
		return objects.Info{}, fmt.Errorf("the listing gives the key %q outside of its prefix", name)
	}
	return objects.Info{Key: name, ETag: unquoted(etag), Size: aws.ToInt64(size), LastModified: timeOf(modified)}, nil
}
