package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/objects"
)

// maxKey is how many bytes a key of S3 may have.
const maxKey = 1024

// Config says which objects of which bucket.
type Config struct {
	// Bucket is the name of the S3 bucket, which must exist.
	Bucket string
	// Prefix, with "/" at its end or empty, stands before every key. Keys of the
	// port do not have it.
	Prefix string
	// Versions lets listings tell the version id of each object
	// (ListObjectVersions). It costs time where there are many old versions.
	Versions bool
	// ReadOnly says that the bucket is somebody else's: Create, Copy to it and
	// Remove fail with objects.ErrReadOnly.
	ReadOnly bool
	// Limits are the sizes at which S3 asks for another way; zero: those of S3.
	Limits Limits
}

// Limits are sizes in bytes, and a number. Tests make them small.
type Limits struct {
	Part     int   // of an upload; 5 MiB at least, 8 MiB by default
	Copy     int64 // beyond it a copy goes by parts; 5 GiB by default
	CopyPart int64 // of such a copy; 1 GiB by default
	Block    int   // fetched by ReadAt; 256 KiB by default
	Page     int32 // how many objects, or versions, one request lists; 1000 by default, which is the most
}

func (l Limits) withDefaults() Limits {
	if l.Part == 0 {
		l.Part = 8 << 20
	}
	if l.Copy == 0 {
		l.Copy = 5 << 30
	}
	if l.CopyPart == 0 {
		l.CopyPart = 1 << 30
	}
	if l.Block == 0 {
		l.Block = 256 << 10
	}
	if l.Page == 0 {
		l.Page = 1000
	}
	return l
}

// Bucket is a bucket of S3, or the part of one below a prefix. All methods may be
// used by many goroutines.
type Bucket struct {
	client *awss3.Client
	cfg    Config
	limits Limits
}

var _ objects.Bucket = (*Bucket)(nil)

// NewClient makes the client that buckets share; between buckets of one client
// S3 copies by itself. Where a stand-in is at the endpoint the bucket's name goes
// into the path: its names resolve to nothing.
func NewClient(cfg aws.Config) *awss3.Client {
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
	})
}

// New opens a bucket. It asks nothing of S3 yet; all faults of cfg are reported
// together.
func New(client *awss3.Client, cfg Config) (*Bucket, error) {
	var errs []error
	if cfg.Bucket == "" {
		errs = append(errs, errors.New("the name of the bucket is empty"))
	}
	if cfg.Prefix != "" && !strings.HasSuffix(cfg.Prefix, "/") {
		errs = append(errs, fmt.Errorf("prefix %q: it must end with a slash", cfg.Prefix))
	}
	const minPart = 5 << 20
	limits := cfg.Limits.withDefaults()
	if limits.Part < minPart || limits.CopyPart < minPart || limits.Block < 1 || limits.Copy < 1 || limits.Page < 1 {
		errs = append(errs, fmt.Errorf("limits %+v: parts must have %d bytes at least, the others one", limits, minPart))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("open S3 bucket %q: %w", cfg.Bucket, err)
	}
	return &Bucket{client: client, cfg: cfg, limits: limits}, nil
}

// Name implements objects.Bucket.
func (b *Bucket) Name() string { return b.cfg.Bucket }

// Versions reports whether listings tell the version of each object.
func (b *Bucket) Versions() bool { return b.cfg.Versions }

// Stat implements objects.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (objects.Info, error) {
	h, err := b.head(ctx, key, objects.Version{})
	if err != nil {
		return objects.Info{}, b.fail("stat", key, err)
	}
	return h.info, nil
}

// Remove implements objects.Bucket. In a bucket that keeps versions they stay.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	if b.cfg.ReadOnly {
		return b.fail("remove", key, objects.ErrReadOnly)
	}
	if b.checkKey(key) != nil {
		return nil // no object can have this key
	}
	_, err := b.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &b.cfg.Bucket, Key: b.key(key)})
	if err != nil && !isMissing(err) {
		return b.fail("remove", key, err)
	}
	return nil
}

// found is what HeadObject tells.
type found struct {
	info        objects.Info
	contentType *string
	encoding    *string
	metadata    map[string]string
}

// head asks for one version of an object, by its id, its ETag, or both.
func (b *Bucket) head(ctx context.Context, key string, v objects.Version) (found, error) {
	if err := b.checkKey(key); err != nil {
		return found{}, fmt.Errorf("%w: %w", objects.ErrNotFound, err)
	}
	out, err := b.client.HeadObject(ctx, &awss3.HeadObjectInput{
		Bucket: &b.cfg.Bucket, Key: b.key(key), VersionId: optional(v.ID), IfMatch: quoted(v.ETag),
	})
	if err != nil {
		return found{}, b.explainRead(ctx, key, v, err)
	}
	return found{
		info: objects.Info{
			Key: key, VersionID: versionOf(out.VersionId), ETag: unquoted(out.ETag),
			Size: aws.ToInt64(out.ContentLength), LastModified: timeOf(out.LastModified),
		},
		contentType: out.ContentType, encoding: out.ContentEncoding, metadata: out.Metadata,
	}, nil
}

// explainRead tells a missing object from a missing version: an answer without a
// body does not say which of them it is.
func (b *Bucket) explainRead(ctx context.Context, key string, v objects.Version, err error) error {
	switch {
	case isPrecondition(err):
		return fmt.Errorf("%w: its ETag is not %s", objects.ErrChanged, v.ETag)
	case v.ID == "" && isMissing(err):
		return objects.ErrNotFound
	case v.ID == "" || !isMissing(err) && statusOf(err) != http.StatusBadRequest:
		return err
	}
	// An id that this S3 never gave is a bad request, as is much else: if one
	// without it is none, the id was to blame.
	if _, err := b.head(ctx, key, objects.Version{}); err != nil {
		return err
	}
	return fmt.Errorf("%w: there is no version %s of it", objects.ErrChanged, v.ID)
}

func (b *Bucket) key(key string) *string { return aws.String(b.cfg.Prefix + key) }

func (b *Bucket) checkKey(key string) error {
	switch full := b.cfg.Prefix + key; {
	case key == "":
		return fmt.Errorf("%w: it is empty", objects.ErrKey)
	case len(full) > maxKey:
		return fmt.Errorf("%w: it has %d bytes, S3 allows %d", objects.ErrKey, len(full), maxKey)
	case !utf8.ValidString(full):
		return fmt.Errorf("%w: it is no UTF-8", objects.ErrKey)
	}
	return nil
}

func (b *Bucket) fail(doing, key string, err error) error {
	return fmt.Errorf("%s object %q of bucket %s: %w", doing, b.cfg.Prefix+key, b.cfg.Bucket, err)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func quoted(etag string) *string {
	if etag == "" {
		return nil
	}
	return aws.String(`"` + etag + `"`)
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// versionOf drops the id that names no fixed version.
func versionOf(id *string) string {
	if v := aws.ToString(id); v != "null" {
		return v
	}
	return ""
}

func timeOf(t *time.Time) time.Time { return aws.ToTime(t).UTC().Truncate(time.Second) }
