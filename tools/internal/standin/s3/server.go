package s3

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Server answers for S3 on an address of this machine.
type Server struct {
	http *http.Server
	url  string
}

// Start starts an empty one. Close it.
func Start() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("stand in for S3: %w", err)
	}
	fake := gofakes3.New(s3mem.New(), gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	s := &Server{url: "http://" + listener.Addr().String(), http: &http.Server{Handler: truer{fake}, ReadHeaderTimeout: time.Minute}}
	go func() { _ = s.http.Serve(listener) }() // Close ends it
	return s, nil
}

// URL is the endpoint of S3.
func (s *Server) URL() string { return s.url }

// Close ends it.
func (s *Server) Close() error { return s.http.Close() }

// truer adds what gofakes3 lacks: HeadObject of a version, of which it tells the newest,
// and If-Match, which it ignores. And it leaves out which version a copy is, of which
// gofakes3 tells one that there is not.
type truer struct{ next http.Handler }

// ServeHTTP implements http.Handler.
func (t truer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		t.next.ServeHTTP(&answer{ResponseWriter: w, unversioned: true}, r)
		return
	}
	head := r.Method == http.MethodHead
	match := strings.Trim(r.Header.Get("If-Match"), `"`)
	if strings.Contains(match, "-") {
		match = "" // of an upload in parts, whose ETag it gives otherwise later
	}
	if !head && r.Method != http.MethodGet || match == "" && !(head && r.URL.Query().Has("versionId")) {
		t.next.ServeHTTP(w, r)
		return
	}
	if head {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	t.next.ServeHTTP(&answer{ResponseWriter: w, match: match, silent: head}, r)
}

// answer is one whose condition is looked at before it is sent.
type answer struct {
	http.ResponseWriter
	match  string // the ETag that it must have; empty: any
	silent bool   // no body is sent
	// unversioned: what it says of a version is wrong.
	unversioned bool
	begun       bool
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = true
	if a.unversioned {
		a.Header().Del("X-Amz-Version-Id")
	}
	if status < 300 && a.match != "" && strings.Trim(a.Header().Get("ETag"), `"`) != a.match {
		status, a.silent = http.StatusPreconditionFailed, true
		a.Header().Del("Content-Length")
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.silent {
		return len(b), nil
	}
	return a.ResponseWriter.Write(b)
}
