package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/alert"
)

// hook is a webhook that keeps what is posted.
func hook(t *testing.T, status int) (address string, posted <-chan alert.Alert) {
	t.Helper()
	got := make(chan alert.Alert, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a alert.Alert
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		got <- a
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/s3cret", got
}

// A bad file is told of before `up --until-idle` has ended, and not again by the next one.
func TestUpAlerts(t *testing.T) {
	dir, drop := t.TempDir(), t.TempDir()
	tables := filepath.Join(dir, "tables.yaml")
	folder := filepath.Join(drop, "dms", "rms", "reports")
	for _, err := range []error{
		os.WriteFile(tables, []byte(testTables), 0o644), os.MkdirAll(folder, 0o755),
		os.WriteFile(filepath.Join(folder, "20240304-060000000.csv"), []byte("Op,id,status,amount\nU,one,closed,2.00\n"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	address, posted := hook(t, http.StatusOK)
	t.Setenv("BLOTTER_ALERTS", address)
	args := []string{"up", "--until-idle", "--stable-for", "10ms", "--tables", tables, "--raw", drop, "--dir", filepath.Join(dir, "lake")}
	for range 2 {
		out, err := command(t.Context(), nil, args...)
		if !errors.Is(err, errUnsettled) || strings.Contains(out, "s3cret") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if len(posted) != 1 {
		t.Fatalf("%d alerts were posted", len(posted))
	}
	a := <-posted
	if a.Table != "rms.reports" || a.Reason != "failure" || a.Failure == nil || a.Failure.Row != 2 || a.File.Key != "dms/rms/reports/20240304-060000000.csv" {
		t.Errorf("posted was %+v", a)
	}
	if _, err := os.Stat(filepath.Join(dir, "lake", "failed", filepath.FromSlash(a.Report))); err != nil {
		t.Errorf("the report that the alert names: %v", err)
	}
}

func TestAlertTest(t *testing.T) {
	t.Parallel()
	address, posted := hook(t, http.StatusOK)
	s := &testSystem{t: t, dir: t.TempDir()}
	if out := s.must("alert", "test", "--alerts", address); !strings.Contains(out, "webhook at 127.0.0.1:") || strings.Contains(out, "s3cret") {
		t.Errorf("it says %s", out)
	}
	if a := <-posted; a.Kind != alert.Test {
		t.Errorf("posted was %+v", a)
	}
	if _, err := s.blotter("alert", "test", "--alerts", "none"); err == nil || !strings.Contains(err.Error(), "no channel is named") {
		t.Errorf("with none: %v", err)
	}
	refuses, _ := hook(t, http.StatusForbidden)
	out, err := s.blotter("alert", "test", "--alerts", refuses+", "+address)
	if err == nil || !strings.Contains(err.Error(), "403") || !strings.Contains(out, "took alert") || strings.Contains(out+err.Error(), "s3cret") {
		t.Errorf("with one that refuses: %v, %s", err, out)
	}
	for _, wrong := range []string{"", "http://example.org/s3cret", "arn:aws:sqs:eu-west-1:111122223333:q", "arn:aws:events:eu-west-1:111122223333:rule/r", "topic"} {
		if out, err := s.blotter("alert", "test", "--alerts", wrong); err == nil || strings.Contains(out+err.Error(), "s3cret") {
			t.Errorf("%q: %v, %s", wrong, err, out)
		}
	}
}
