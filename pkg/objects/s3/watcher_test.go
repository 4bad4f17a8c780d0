package s3_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

func TestWatcherInProcess(t *testing.T) { watch(t, s3.NewClient(awstest.S3InProcess(t))) }

func TestWatcher(t *testing.T) { watch(t, s3.NewClient(awstest.Config(t))) }

// watch: Fresh hands over what is below the prefix, each version once, and again what
// the loop did not come to; Scan hands over all of it.
func watch(t *testing.T, client *awss3.Client) {
	b := bucket(t, client, s3.Config{Versions: true}, true)
	w, err := b.Watch(t.Context(), "dms/", time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	name := b.Name()
	for _, key := range []string{"dms/a", "dms/b", "dms/c", "other/d"} {
		if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &name, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(fresh bool, most int) []string {
		scan := w.Scan
		if fresh {
			scan = func(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
				return w.Fresh(ctx, prefix, nil)
			}
		}
		var all []string
		for info, err := range scan(t.Context(), "") {
			if err != nil || info.VersionID == "" || info.ETag == "" {
				t.Fatalf("it hands over %+v, %v", info, err)
			}
			if all = append(all, info.Key); len(all) == most {
				break
			}
		}
		return all
	}
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, expected %q", what, got, want)
		}
	}
	check("the first, of which two are taken", keys(true, 2), "dms/a", "dms/b")
	check("then what was not taken", keys(true, 0), "dms/b", "dms/c")
	check("then nothing", keys(true, 0))
	again := "dms/a"
	if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &name, Key: &again}); err != nil {
		t.Fatal(err)
	}
	var asked []string
	for info, err := range w.Fresh(t.Context(), "", func(key string, whole bool) bool {
		asked = append(asked, key)
		return !whole
	}) {
		t.Errorf("what nobody asks for is handed over: %+v, %v", info, err)
	}
	check("what is asked for", asked, "dms/a")
	check("a new version", keys(true, 0), "dms/a")
	check("all", keys(false, 0), "dms/a", "dms/b", "dms/c")
	<-w.Changes()
	<-w.Changes() // it comes back, again and again
}

func TestBucketsAreLookedForInProcess(t *testing.T) { look(t, s3.NewClient(awstest.S3InProcess(t))) }

func TestBucketsAreLookedFor(t *testing.T) { look(t, s3.NewClient(awstest.Config(t))) }

// look: a bucket that is missing is told of as such, and can be made.
func look(t *testing.T, client *awss3.Client) {
	name := awstest.Name(t)
	b, err := s3.New(client, s3.Config{Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); !errors.Is(err, s3.ErrNoBucket) {
		t.Errorf("no bucket: %v", err)
	}
	if err := s3.CreateBucket(t.Context(), client, name, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { empty(t, client, name) })
	if err := b.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if versions, err := s3.KeepsVersions(t.Context(), client, name); err != nil || !versions {
		t.Errorf("keeps versions: %v, %v", versions, err)
	}
	plain := bucket(t, client, s3.Config{}, false)
	if versions, err := s3.KeepsVersions(t.Context(), client, plain.Name()); err != nil || versions {
		t.Errorf("a plain bucket keeps versions: %v, %v", versions, err)
	}
}
