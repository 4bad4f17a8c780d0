package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/s3"
)

func wired(t *testing.T) (*awstest.Wire, *s3.Bucket) {
	t.Helper()
	cfg := awstest.S3InProcess(t)
	w := awstest.NewWire(&cfg)
	b := bucket(t, s3.NewClient(cfg), s3.Config{Limits: limits}, false)
	t.Cleanup(func() { w.Set(nil, nil) })
	return w, b
}

func answer(r *http.Request, status int, code string) *http.Response {
	return awstest.Answer(r, status, "application/xml", "<Error><Code>"+code+"</Code><Message>m</Message></Error>")
}

func write(t *testing.T, b objects.Bucket, key string, content []byte) (objects.Info, error) {
	t.Helper()
	w, err := b.Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		return objects.Info{}, errors.Join(err, w.Abort())
	}
	return w.Commit(t.Context())
}

func content(n int) []byte {
	c := make([]byte, n)
	for i := range c {
		c[i] = byte(i*7 + i>>8)
	}
	return c
}

// TestLostAnswers: the write arrived, its answer did not; the repeated request
// finds the key taken, by this very writer. Another writer's object is not ours.
func TestLostAnswers(t *testing.T) {
	w, b := wired(t)
	for name, c := range map[string]struct {
		size  int
		match func(*http.Request) bool
	}{
		"put":      {100, func(r *http.Request) bool { return r.Method == http.MethodPut }},
		"complete": {11 << 20, func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }},
	} {
		w.LoseOnce(c.match)
		info, err := write(t, b, name, content(c.size))
		if err != nil || info.Size != int64(c.size) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	w.Set(nil, nil)
	if _, err := write(t, b, "put", content(100)); !errors.Is(err, objects.ErrExists) {
		t.Errorf("the same bytes by another writer: %v", err)
	}
}

// TestConflict: a write that meets another one of the key is tried again.
func TestConflict(t *testing.T) {
	w, b := wired(t)
	conflicts := 2
	w.Set(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && conflicts > 0 {
			conflicts--
			return answer(r, http.StatusConflict, "ConditionalRequestConflict"), nil
		}
		return nil, nil
	}, nil)
	if _, err := write(t, b, "k", []byte("x")); err != nil || conflicts != 0 {
		t.Errorf("%d conflicts left, %v", conflicts, err)
	}
}

// TestConditions: whatever makes an object says that there must be none; what
// reads one says which. (The stand-ins do not look at all of it.)
func TestConditions(t *testing.T) {
	w, b := wired(t)
	info, err := write(t, b, "small", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write(t, b, "large", content(11<<20)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Copy(t.Context(), b, "small", objects.Version{}, "copy"); err != nil {
		t.Fatal(err)
	}
	sent := w.Sent()
	w.Set(func(r *http.Request) (*http.Response, error) { // gofakes3 cannot copy parts
		if r.Header.Get("X-Amz-Copy-Source") != "" {
			return awstest.Answer(r, http.StatusOK, "application/xml", "<CopyPartResult><ETag>e</ETag></CopyPartResult>"), nil
		}
		return nil, nil
	}, nil)
	if _, err := b.Copy(t.Context(), b, "large", objects.Version{}, "large copy"); err == nil {
		t.Error("an upload without parts was completed")
	}
	r, err := b.Open(t.Context(), "small", objects.Version{ETag: info.ETag})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	var makes, copies, reads int
	for _, r := range append(sent, w.Sent()...) {
		query := r.URL.Query()
		source := r.Header.Get("X-Amz-Copy-Source") != ""
		switch {
		case r.Method == http.MethodPut && !query.Has("partNumber") && strings.Count(r.URL.Path, "/") > 1,
			r.Method == http.MethodPost && query.Has("uploadId"):
			makes++
			if r.Header.Get("If-None-Match") != "*" {
				t.Errorf("%s %s may overwrite: %v", r.Method, r.URL, r.Header)
			}
		case r.Method == http.MethodGet:
			reads++
			if r.Header.Get("If-Match") == "" {
				t.Errorf("GET %s names no version", r.URL)
			}
		}
		if source {
			copies++
			if r.Header.Get("X-Amz-Copy-Source-If-Match") == "" {
				t.Errorf("the copy %s names no version of its source", r.URL)
			}
			if !query.Has("partNumber") && r.Header.Get("X-Amz-Tagging-Directive") != "REPLACE" {
				t.Errorf("the copy %s takes tags, too, for which it needs rights of their own", r.URL)
			}
		}
	}
	if makes != 4 || copies != 4 || reads != 1 { // 11 MiB are three parts of 5
		t.Errorf("%d objects made, %d copies, %d reads", makes, copies, reads)
	}
}

// TestBrokenBodies: a body that breaks off is taken up where it broke off.
func TestBrokenBodies(t *testing.T) {
	w, b := wired(t)
	want := content(100_000)
	if _, err := write(t, b, "k", want); err != nil {
		t.Fatal(err)
	}
	broken := func(r *http.Request, resp *http.Response) (*http.Response, error) {
		if r.Method == http.MethodGet {
			resp.Body = &breaking{resp.Body, 30_000}
		}
		return resp, nil
	}
	w.Set(nil, broken)
	r, err := b.Open(t.Context(), "k", objects.Version{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came, %v", len(got), len(want), err)
	}
	if n := w.Count(awstest.Method(http.MethodGet)); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	at := make([]byte, 90_000)
	if _, err := r.ReadAt(at, 5000); err != nil || !bytes.Equal(at, want[5000:95_000]) {
		t.Errorf("ReadAt: %v", err)
	}
	w.Set(nil, func(r *http.Request, resp *http.Response) (*http.Response, error) {
		if r.Method == http.MethodGet {
			resp.Body = &breaking{resp.Body, 0}
		}
		return resp, nil
	})
	if n, err := r.ReadAt(at[:10], 99_000); err == nil || errors.Is(err, io.ErrUnexpectedEOF) { // that would say that the object is too short
		t.Errorf("%d bytes of a dead server, %v", n, err)
	}
	if n := w.Count(awstest.Method(http.MethodGet)); n > 10 {
		t.Errorf("a dead server was asked %d times", n)
	}
}

type breaking struct {
	io.ReadCloser
	left int
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// TestSmallReads: many small reads make few requests, and a range that the
// server ignored is cut out.
func TestSmallReads(t *testing.T) {
	w, b := wired(t)
	want := content(64_000)
	if _, err := write(t, b, "k", want); err != nil {
		t.Fatal(err)
	}
	for name, ignoring := range map[string]bool{"ranges": false, "no ranges": true} {
		w.Set(func(r *http.Request) (*http.Response, error) {
			if ignoring {
				r.Header.Del("Range")
			}
			return nil, nil
		}, nil)
		r, err := b.Open(t.Context(), "k", objects.Version{})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		for offset := 0; offset < len(want); offset += len(buf) {
			if _, err := r.ReadAt(buf, int64(offset)); err != nil || !bytes.Equal(buf, want[offset:offset+10]) {
				t.Fatalf("%s, at %d: %v", name, offset, err)
			}
		}
		// 64 blocks, the first alone, then four at once.
		if n := w.Count(awstest.Method(http.MethodGet)); n != 17 {
			t.Errorf("%s: %d requests, want 17", name, n)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
