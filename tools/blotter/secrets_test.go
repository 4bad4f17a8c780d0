package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecrets: each variable becomes a file that its owner alone reads; nothing is written
// where one is missing, and no value is printed.
func TestSecrets(t *testing.T) {
	t.Setenv("SEED", "SUABC")
	t.Setenv("CA", "-----BEGIN\nlines\n")
	t.Setenv("EMPTY", "")
	dir := t.TempDir()
	out, err := command(t.Context(), nil, "secrets", "--out", dir, "user.nk=SEED", "other.nk=EMPTY")
	if err == nil || !strings.Contains(err.Error(), "argument 2: the environment lacks the variable") {
		t.Errorf("an empty variable: %v", err)
	}
	if entries, err := os.ReadDir(dir); len(entries) != 0 || err != nil {
		t.Errorf("with an empty variable there are %v, %v", entries, err)
	}
	for _, wrong := range []string{"user.nk=SUABC", "SUABC", "SUABC=SEED/x", "a/SUABC=SEED"} { // none is shown, whatever it is
		if out, err := command(t.Context(), nil, "secrets", "--out", dir, wrong); err == nil || strings.Contains(out+err.Error(), "SUABC") {
			t.Errorf("of %s it says %v: %s", wrong, err, out)
		}
	}
	for range 2 { // a task that starts again
		if out, err = command(t.Context(), nil, "secrets", "--out", dir, "user.nk=SEED", "ca.pem=CA"); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(out, "SUABC") || !strings.HasPrefix(out, "2 files written") {
		t.Errorf("it prints %q", out)
	}
	for name, want := range map[string]string{"user.nk": "SUABC", "ca.pem": "-----BEGIN\nlines\n"} {
		path := filepath.Join(dir, name)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != fs.FileMode(0o400) {
			t.Errorf("%s is %v, %v", name, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(dir); len(entries) != 2 || err != nil {
		t.Errorf("there are %v, %v", entries, err)
	}
	for _, bad := range []string{"user.nk", "=SEED", "a/b=SEED", "../b=SEED", ".b=SEED", "b=", "b=MISSING"} {
		if _, err := command(t.Context(), nil, "secrets", "--out", dir, bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if _, err := command(t.Context(), nil, "secrets", "--out", filepath.Join(dir, "none"), "b=SEED"); err == nil {
		t.Error("a folder that is not there is taken")
	}
}
