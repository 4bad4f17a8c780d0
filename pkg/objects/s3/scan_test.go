package s3_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/objectstest"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

// scanned opens buckets whose pages are small.
func scanned(client *awss3.Client, versions bool) func(*testing.T) (objects.Bucket, objects.Scanner) {
	return func(t *testing.T) (objects.Bucket, objects.Scanner) {
		few := limits
		few.Page = 7
		b := bucket(t, client, s3.Config{Prefix: "p/", Versions: versions, Limits: few}, versions)
		return b, watcher(t, b, "")
	}
}

func watcher(t *testing.T, b *s3.Bucket, below string) *s3.Watcher {
	t.Helper()
	w, err := b.Watch(t.Context(), below, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestScannerInProcess(t *testing.T) {
	objectstest.RunScanner(t, scanned(s3.NewClient(awstest.S3InProcess(t)), false))
}

func TestScanner(t *testing.T) {
	objectstest.RunScanner(t, scanned(s3.NewClient(awstest.Config(t)), false))
}

// gofakes3 gives wrong pages of versions behind a key, so that there is no
// TestScannerVersionsInProcess: TestMarkersOfVersions says what is sent.
func TestScannerVersions(t *testing.T) {
	objectstest.RunScanner(t, scanned(s3.NewClient(awstest.Config(t)), true))
}

// TestAWatcherScansBelow: a prefix is of whole keys, and what lies outside of what the
// watcher looks at is not seen.
func TestAWatcherScansBelow(t *testing.T) {
	b := bucket(t, s3.NewClient(awstest.S3InProcess(t)), s3.Config{}, false)
	for _, key := range []string{"dms/a/1", "dms/b/1", "dm", "other/1"} {
		if _, err := write(t, b, key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	w := watcher(t, b, "dms/")
	for prefix, want := range map[string][]string{
		"": {"dms/a/1", "dms/b/1"}, "dm": {"dms/a/1", "dms/b/1"}, "dms/": {"dms/a/1", "dms/b/1"}, "dms/b": {"dms/b/1"}, "other/": nil, "dn": nil,
	} {
		var got []string
		for seen, err := range w.ScanAfter(t.Context(), prefix, "", nil) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, seen.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, expected %q", prefix, got, want)
		}
	}
}

// versionsAsAWS has a wire answer a listing of versions as AWS does: keys and markers encoded, a
// key marker without a version meaning behind the key. Each key has two versions.
func versionsAsAWS(t *testing.T, wire *awstest.Wire, keys []string, asked *[]string) {
	encoded := func(s string) string {
		return strings.NewReplacer("%", "%25", " ", "+", "=", "%3D", "é", "%C3%A9").Replace(s)
	}
	wire.Set(func(r *http.Request) (*http.Response, error) {
		q := r.URL.Query()
		if !q.Has("versions") {
			return nil, nil
		}
		if q.Get("encoding-type") != "url" || q.Get("max-keys") != "3" {
			t.Errorf("it asks for %s", r.URL.RawQuery)
		}
		key, version := q.Get("key-marker"), q.Get("version-id-marker")
		*asked = append(*asked, key+"@"+version)
		var body strings.Builder
		n, next := 0, ""
		for _, k := range keys {
			for _, v := range []string{"2", "1"} {
				if k < key || k == key && (version == "" || v >= version) {
					continue
				}
				if n++; n > 3 {
					break
				}
				fmt.Fprintf(&body, "<Version><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%t</IsLatest><Size>1</Size></Version>", encoded(k), v, v == "2")
				next = fmt.Sprintf("<NextKeyMarker>%s</NextKeyMarker><NextVersionIdMarker>%s</NextVersionIdMarker>", encoded(k), v)
			}
		}
		return awstest.Answer(r, http.StatusOK, "application/xml", fmt.Sprintf(
			"<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>%t</IsTruncated>%s%s</ListVersionsResult>", n > 3, next, body.String())), nil
	}, nil)
}

// TestMarkersOfVersions: AWS encodes the markers of a listing as it does the keys, and
// takes them back as they are. Sent as they come they would name another place, and
// objects behind a page would be left out, or come twice.
func TestMarkersOfVersions(t *testing.T) {
	cfg := awstest.S3InProcess(t)
	wire := awstest.NewWire(&cfg)
	few := limits
	few.Page = 3
	b := bucket(t, s3.NewClient(cfg), s3.Config{Versions: true, Limits: few}, true)
	t.Cleanup(func() { wire.Set(nil, nil) })
	w := watcher(t, b, "")
	keys := []string{"a b", "a!c", "dt=1/é", "dt=2/é", "é", "é2"}
	slices.Sort(keys)
	var asked []string
	versionsAsAWS(t, wire, keys, &asked)
	var listed []string
	for info, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, info.Key)
	}
	if !slices.Equal(listed, keys) {
		t.Errorf("listed %q, expected %q; asked behind %q", listed, keys, asked)
	}
	for i, after := range keys {
		asked = nil
		var got []string
		for seen, err := range w.ScanAfter(t.Context(), "", after, nil) {
			if err != nil {
				t.Fatal(err)
			}
			if seen.Seen == objects.SeenObject {
				got = append(got, seen.Key)
			}
		}
		if !slices.Equal(got, keys[i+1:]) || asked[0] != after+"@" {
			t.Errorf("behind %q: %q, expected %q; asked behind %q", after, got, keys[i+1:], asked)
		}
	}
	asked = nil
	wire.Set(func(r *http.Request) (*http.Response, error) {
		return awstest.Answer(r, http.StatusOK, "application/xml", "<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>"), nil
	}, nil)
	for _, err := range b.List(t.Context(), "") {
		if err == nil || !strings.Contains(err.Error(), "nowhere to go on from") {
			t.Errorf("a listing that cannot go on gives %v", err)
		}
	}
}
