package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/archive"
)

// fails is blotter for a command that must not succeed; it gives what is said and why.
func (s *testSystem) fails(args ...string) string {
	s.t.Helper()
	out, err := s.blotter(args...)
	if err == nil || errors.Is(err, errUnsettled) {
		s.t.Fatalf("blotter %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out + err.Error()
}

// unsettled is blotter for a command that has to find something.
func (s *testSystem) unsettled(args ...string) string {
	s.t.Helper()
	out, err := s.blotter(args...)
	if !errors.Is(err, errUnsettled) {
		s.t.Fatalf("blotter %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// keep writes a file elsewhere and gives its name.
func (s *testSystem) keep(name string, content []byte) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *testSystem) read(name string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// TestAudit archives the log of a running and of a stopped system, and verifies it from
// the archive alone.
func TestAudit(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	if out := s.fails("audit", "verify", "--key", "a+b+c"); !strings.Contains(out, "verifier key") {
		t.Errorf("a key that is none: %s", out)
	}
	s.fill()
	if out := s.must("audit", "archive"); !strings.Contains(out, "span 0  sequences 1 to ") || !strings.Contains(out, "1 span written") {
		t.Errorf("archive says\n%s", out)
	}
	if out := s.must("audit", "archive"); !strings.Contains(out, "0 spans written") {
		t.Errorf("a second time it says\n%s", out)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "audit-key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the signing key: %v, %v", info, err)
	}
	key, kept := s.keep("key", []byte(s.must("audit", "key"))), s.keep("kept", nil)
	s.must("audit", "verify", "--against", "--keep", kept)
	s.must("resume", "rms.reports", "--skip")
	s.settle()
	s.halt()
	if out := s.must("audit", "archive"); !strings.Contains(out, "span 1 ") {
		t.Errorf("of the stopped system it says\n%s", out)
	}
	out := s.must("audit", "verify", "--against")
	if !strings.HasPrefix(out, "proven: ") || !strings.Contains(out, "compared with the log: equal; it has 0 events beyond") {
		t.Errorf("verify says\n%s", out)
	}

	today := s.keep("today", nil)
	if out := s.must("audit", "verify", "--since", kept, "--keep", today); !strings.Contains(out, "it extends the checkpoint of sequence ") {
		t.Errorf("since the checkpoint it says\n%s", out)
	}
	if out := s.must("audit", "verify", "--since", today); !strings.Contains(out, "still ends with the checkpoint of sequence ") {
		t.Errorf("since the last checkpoint it says\n%s", out)
	}

	audit := filepath.Join(s.dir, "audit")
	alone := []string{"audit", "verify", "--dir", t.TempDir(), "--audit", audit, "--key", key, "--checkpoint", kept, "--json"}
	out, err := command(t.Context(), nil, alone...)
	var says verified
	if json.Unmarshal([]byte(out), &says) != nil || err != nil || !says.Proven || says.Spans != 2 || says.Events == 0 {
		t.Errorf("the archive alone: %v\n%s", err, out)
	}
	span := filepath.Join(audit, "spans", "000000000001.parquet")
	good := s.read(span)
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	for name, change := range map[string]func() error{
		"a byte": func() error { return os.WriteFile(span, bad, 0o600) },
		"a span": func() error { return os.Remove(span) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if out := s.unsettled("audit", "verify"); !strings.Contains(out, "spans/000000000001.parquet") {
			t.Errorf("%s is changed: %s", name, out)
		}
	}
	s.rollBack(audit, today)
	if err := errors.Join(os.RemoveAll(filepath.Join(audit, "spans")), os.RemoveAll(filepath.Join(audit, "checkpoints"))); err != nil {
		t.Fatal(err)
	}
	if out := s.unsettled("audit", "verify"); !strings.Contains(out, "was taken away") || !strings.Contains(out, "there is no archive") {
		t.Errorf("nothing is left: %s", out)
	}
	for _, gone := range []string{"its objects", "its folder"} {
		if gone == "its folder" {
			s.check(os.RemoveAll(audit))
		}
		if out := s.unsettled("audit", "verify", "--checkpoint", kept); !strings.Contains(out, "all of the archive was taken away") {
			t.Errorf("%s are gone, of which a checkpoint was kept: %s", gone, out)
		}
	}
}

// rollBack takes the last span away: what is left is an archive, which nothing but a
// checkpoint that was kept and the log contradict. An older checkpoint in the place of
// the last one is found by itself.
func (s *testSystem) rollBack(audit, kept string) {
	s.t.Helper()
	first, last := filepath.Join(audit, "checkpoints", "000000000000"), filepath.Join(audit, "checkpoints", "000000000001")
	older := s.read(first)
	s.check(os.Remove(last), os.WriteFile(last, older, 0o600), os.WriteFile(filepath.Join(audit, "spans", "000000000001.parquet"), s.read(filepath.Join(audit, "spans", "000000000000.parquet")), 0o600))
	if out := s.unsettled("audit", "verify"); !strings.Contains(out, "it is the checkpoint of span 0") {
		s.t.Errorf("an older checkpoint is put in the place of the last one: %s", out)
	}
	s.check(os.Remove(last), os.Remove(filepath.Join(audit, "spans", "000000000001.parquet")))
	if out := s.unsettled("audit", "verify"); !strings.Contains(out, "was taken away") {
		s.t.Errorf("a shorter archive, and the folder of its system: %s", out)
	}
	if out := s.fails("audit", "archive"); !strings.Contains(out, "was taken away") {
		s.t.Errorf("a shorter archive is gone on with: %s", out)
	}
	keptHere := s.read(filepath.Join(s.dir, archive.KeptFile))
	s.lose(archive.KeptFile)
	defer func() { s.check(os.WriteFile(filepath.Join(s.dir, archive.KeptFile), keptHere, 0o600)) }()
	if out := s.must("audit", "verify"); !strings.Contains(out, " in 1 span,") {
		s.t.Errorf("a shorter archive: %s", out)
	}
	for _, with := range []string{"--checkpoint", "--since"} {
		if out := s.unsettled("audit", "verify", with, kept); !strings.Contains(out, "was taken away") {
			s.t.Errorf("a shorter archive, with %s: %s", with, out)
		}
	}
	if out := s.must("audit", "verify", "--against"); !strings.Contains(out, "events beyond the archive") {
		s.t.Errorf("a shorter archive, against the log: %s", out)
	}
}

// TestAuditProve proves one file's events to somebody who has nothing but the proof.
func TestAuditProve(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	file := string(s.fill())
	s.halt()
	if out := s.fails("audit", "prove", file); !strings.Contains(out, "there is no archive") {
		t.Errorf("before there is an archive: %s", out)
	}
	s.must("audit", "archive")
	proof := s.keep("proof.json", nil)
	s.must("audit", "prove", file[:12], "-o", proof)
	key := strings.TrimSpace(s.must("audit", "key"))
	check := func(proof string) (string, error) {
		return command(t.Context(), nil, "audit", "check", proof, "--dir", t.TempDir(), "--key", key)
	}
	out, err := check(proof)
	if err != nil || !strings.Contains(out, "ObjectArrived") || !strings.Contains(out, "FileQuarantined") || !strings.Contains(out, "proven: ") {
		t.Errorf("check: %v\n%s", err, out)
	}
	other := s.keep("other.json", bytes.Replace(s.read(proof), []byte(file[:12]), []byte("0123456789ab"), 1))
	if out, err := check(other); !errors.Is(err, errUnsettled) || !strings.Contains(out, "does not hold") {
		t.Errorf("a proof that names another file: %v\n%s", err, out)
	}
	edited := s.keep("edited.json", bytes.Replace(s.read(proof), []byte("  "), []byte(" "), 1))
	if out, err := check(edited); !errors.Is(err, errUnsettled) || !strings.Contains(out, "does not hold") {
		t.Errorf("a proof that was edited: %v\n%s", err, out)
	}
	if out := s.fails("audit", "prove", "0123456789abcdef"); !strings.Contains(out, "holds no such event") {
		t.Errorf("a file that there is not: %s", out)
	}
}

// TestAuditKeys makes a pair, and has it sign an archive elsewhere.
func TestAuditKeys(t *testing.T) {
	s := startSystem(t)
	s.halt()
	if err := errors.Join(os.Remove(filepath.Join(s.dir, "audit-key")), os.Remove(filepath.Join(s.dir, "audit-key.pub"))); err != nil {
		t.Fatal(err)
	}
	var secret, public bytes.Buffer
	pair := newRoot()
	pair.SetArgs([]string{"audit", "key", "--new", "rms.example/log"})
	pair.SetOut(&secret)
	pair.SetErr(&public)
	if err := pair.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(public.String(), "rms.example/log+") {
		t.Fatalf("%v: %s", err, public.String())
	}
	elsewhere, file := filepath.Join(t.TempDir(), "audit"), s.keep("secret", secret.Bytes())
	t.Setenv("BLOTTER_AUDIT_KEY", file)
	s.must("audit", "archive", "--audit", elsewhere)
	if got := s.must("audit", "key"); got != public.String() {
		t.Errorf("the verifier key is %s", got)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "audit-key")); err == nil {
		t.Error("a key was made although one was given")
	}
	t.Setenv("BLOTTER_AUDIT_KEY", "")
	if out := s.must("audit", "verify", "--audit", elsewhere, "--key", public.String()); !strings.Contains(out, `"rms.example/log"`) {
		t.Errorf("verify says\n%s", out)
	}
	if out := s.fails("audit", "verify", "--audit", elsewhere, "--key", file); !strings.Contains(out, "signing key") || strings.Contains(out, "PRIVATE") {
		t.Errorf("a signing key for a verifier key: %s", out)
	}
	if out := s.fails("audit", "archive", "--audit", elsewhere); !strings.Contains(out, "another key") {
		t.Errorf("another key: %s", out)
	}
}
