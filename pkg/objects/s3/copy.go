package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/cenkalti/backoff/v5"

	"github.com/openblotter/blotter/pkg/objects"
)

// Copy implements objects.Bucket. Between buckets of one client S3 copies the
// bytes: exactly the version that was there when Copy began.
func (b *Bucket) Copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	info, err := b.copy(ctx, src, srcKey, v, dstKey)
	if err != nil {
		return objects.Info{}, fmt.Errorf("copy %q of bucket %s to %q of bucket %s: %w",
			srcKey, src.Name(), dstKey, b.cfg.Bucket, err)
	}
	return info, nil
}

func (b *Bucket) copy(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	if b.cfg.ReadOnly {
		return objects.Info{}, objects.ErrReadOnly
	}
	if err := b.checkKey(dstKey); err != nil {
		return objects.Info{}, err
	}
	from, ok := src.(*Bucket)
	if !ok || from.client != b.client {
		return b.stream(ctx, src, srcKey, v, dstKey)
	}
	source, err := from.head(ctx, srcKey, v)
	if err != nil {
		return objects.Info{}, err
	}
	// Seen here it costs no copy; the conditions below hold all the same.
	if _, err := b.head(ctx, dstKey, objects.Version{}); !errors.Is(err, objects.ErrNotFound) {
		if err == nil {
			err = objects.ErrExists
		}
		return objects.Info{}, err
	}
	c := serverCopy{to: b, from: from, source: source, dstKey: dstKey, name: rand.Text()}
	if source.info.Size > b.limits.Copy {
		return c.byParts(ctx)
	}
	return c.whole(ctx)
}

// stream copies through this process. The reader gives the version asked for.
func (b *Bucket) stream(ctx context.Context, src objects.Bucket, srcKey string, v objects.Version, dstKey string) (objects.Info, error) {
	r, err := src.Open(ctx, srcKey, v)
	if err != nil {
		return objects.Info{}, err
	}
	defer r.Close()
	w, err := b.Create(ctx, dstKey)
	if err != nil {
		return objects.Info{}, err
	}
	if _, err := io.Copy(w, r); err != nil {
		return objects.Info{}, errors.Join(err, w.Abort())
	}
	return w.Commit(ctx)
}

// serverCopy is one copy that S3 makes.
type serverCopy struct {
	to, from *Bucket
	source   found
	dstKey   string
	name     string // its own, in the metadata of the copy
}

// path names the source; S3 decodes it once.
func (c serverCopy) path() *string {
	// QueryEscape of "+" and of everything that is no letter; "/" may stay.
	key := strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(*c.from.key(c.source.info.Key)), "+", "%20"), "%2F", "/")
	path := c.from.cfg.Bucket + "/" + key
	if id := c.source.info.VersionID; id != "" {
		path += "?versionId=" + url.QueryEscape(id)
	}
	return &path
}

func (c serverCopy) metadata() map[string]string {
	metadata := maps.Clone(c.source.metadata)
	if metadata == nil {
		metadata = map[string]string{}
	}
	metadata[writerKey] = c.name
	return metadata
}

func (c serverCopy) whole(ctx context.Context) (objects.Info, error) {
	version, err := backoff.Retry(ctx, func() (objects.Version, error) {
		out, err := c.to.client.CopyObject(ctx, &awss3.CopyObjectInput{
			Bucket: &c.to.cfg.Bucket, Key: c.to.key(c.dstKey),
			CopySource: c.path(), CopySourceIfMatch: quoted(c.source.info.ETag), IfNoneMatch: &anything,
			MetadataDirective: types.MetadataDirectiveReplace, Metadata: c.metadata(),
			// Tags of others, such as those of a scanner, would need rights of their own.
			TaggingDirective: types.TaggingDirectiveReplace,
			ContentType:      c.source.contentType, ContentEncoding: c.source.encoding,
		})
		if err != nil {
			return objects.Version{}, finalUnlessConflict(err)
		}
		v := objects.Version{ID: versionOf(out.VersionId)}
		if out.CopyObjectResult != nil {
			v.ETag = unquoted(out.CopyObjectResult.ETag)
		}
		return v, nil
	}, backoff.WithMaxTries(conflictTries))
	return c.done(ctx, version, err)
}

// done tells of the copy. A condition that did not hold may be that of the
// destination or that of the source.
func (c serverCopy) done(ctx context.Context, v objects.Version, err error) (objects.Info, error) {
	info, wrote := c.to.written(ctx, c.dstKey, c.name, v, err)
	if wrote == nil || errors.Is(wrote, objects.ErrExists) {
		return info, wrote
	}
	if err != nil && (isPrecondition(err) || isMissing(err)) {
		source := c.source.info
		if _, err := c.from.head(ctx, source.Key, objects.Version{ID: source.VersionID, ETag: source.ETag}); err != nil {
			return objects.Info{}, err
		}
	}
	return objects.Info{}, wrote
}

func (c serverCopy) byParts(ctx context.Context) (_ objects.Info, err error) {
	begun, err := c.to.client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: &c.to.cfg.Bucket, Key: c.to.key(c.dstKey), Metadata: c.metadata(),
		ContentType: c.source.contentType, ContentEncoding: c.source.encoding,
	})
	if err != nil {
		return objects.Info{}, fmt.Errorf("begin its upload: %w", err)
	}
	done := false
	defer func() {
		if !done {
			cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
			defer cancel()
			err = errors.Join(err, c.to.dropUpload(cleanup, c.dstKey, begun.UploadId))
		}
	}()
	size, step := c.source.info.Size, c.to.limits.CopyPart
	var parts []types.CompletedPart
	for offset := int64(0); offset < size; offset += step {
		number := int32(len(parts) + 1)
		rng := fmt.Sprintf("bytes=%d-%d", offset, min(offset+step, size)-1)
		out, err := c.to.client.UploadPartCopy(ctx, &awss3.UploadPartCopyInput{
			Bucket: &c.to.cfg.Bucket, Key: c.to.key(c.dstKey), UploadId: begun.UploadId, PartNumber: &number,
			CopySource: c.path(), CopySourceIfMatch: quoted(c.source.info.ETag), CopySourceRange: &rng,
		})
		if err != nil {
			if isPrecondition(err) || isMissing(err) {
				err = fmt.Errorf("%w while it was copied", objects.ErrChanged)
			}
			return objects.Info{}, fmt.Errorf("copy part %d: %w", number, err)
		}
		part := types.CompletedPart{PartNumber: &number}
		if out.CopyPartResult != nil {
			part.ETag = out.CopyPartResult.ETag
		}
		parts = append(parts, part)
	}
	out, err := c.to.client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &c.to.cfg.Bucket, Key: c.to.key(c.dstKey), UploadId: begun.UploadId, IfNoneMatch: &anything,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	v := objects.Version{}
	if err == nil {
		done = true
		v = objects.Version{ID: versionOf(out.VersionId), ETag: unquoted(out.ETag)}
	}
	return c.to.written(ctx, c.dstKey, c.name, v, err)
}
