package spark

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsMissingIsTold: before anything is started, with what to do.
func TestWhatIsMissingIsTold(t *testing.T) {
	java17 := `echo 'openjdk version "17.0.12" 2024-07-16' >&2`
	for name, tt := range map[string]struct {
		java, python string // scripts; empty: not there
		variable     string // of PythonVariable, a name in the same folder
		says         []string
	}{
		"no Java":              {says: []string{"there is no Java for Spark on the path", "install Java 17"}},
		"an old Java":          {java: `echo 'java version "1.8.0_392"' >&2`, says: []string{"release 8", "install Java 17"}},
		"a Java that ends":     {java: "echo no display >&2; exit 3", says: []string{"no display", "install Java 17"}},
		"a Java without name":  {java: "echo hello", says: []string{"release 0"}},
		"no Python":            {java: java17, says: []string{"no python3.11 on the path", "venv module", PythonVariable}},
		"a Python without":     {java: java17, python: "echo No module named venv >&2; exit 1", says: []string{"No module named venv", "next start tries again"}},
		"a variable for none":  {java: java17, variable: "nowhere", says: []string{PythonVariable, "nowhere"}},
		"a variable for other": {java: java17, python: "echo PackageNotFoundError >&2; exit 1", variable: "python3.11", says: []string{PythonVariable, "PackageNotFoundError", "requirements.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for program, script := range map[string]string{"java": tt.java, "python3.11": tt.python} {
				if script == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", dir)
			t.Setenv("JAVA_HOME", "")
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			t.Setenv("HOME", t.TempDir())
			variable := ""
			if tt.variable != "" {
				variable = filepath.Join(dir, tt.variable)
			}
			t.Setenv(PythonVariable, variable)
			_, err := Open(t.Context(), slog.New(slog.DiscardHandler), nil)
			if err == nil {
				t.Fatal("nothing was missed")
			}
			for _, part := range tt.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestTheProgramForRowsIsTried: a wrong one is no fault of the first file.
func TestTheProgramForRowsIsTried(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ script, says string }{
		"good":    {"#!/bin/sh\necho 'rows: name a command: read, stage or seal' >&2; exit 1\n", ""},
		"other":   {"#!/bin/sh\necho hello\n", "no program for rows"},
		"wrong":   {"#!/bin/sh\necho usage >&2; exit 2\n", "no program for rows"},
		"foreign": {"\x7fELF of another machine", "build services/glue-dispatcher/job/rows"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tt.script), 0o755); err != nil {
			t.Fatal(err)
		}
		err := checkRows(t.Context(), path)
		if (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), RowsVariable)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := checkRows(t.Context(), filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a program that is not there was taken")
	}
}

// TestJavaOfJavaHome: Spark prefers it to the path.
func TestJavaOfJavaHome(t *testing.T) {
	t.Setenv("JAVA_HOME", t.TempDir())
	if err := checkJava(t.Context()); err == nil || !strings.Contains(err.Error(), "in JAVA_HOME") {
		t.Errorf("an empty JAVA_HOME: %v", err)
	}
}
