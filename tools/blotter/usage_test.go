package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every command says where the flags for places are told of, or lists them itself.
func TestHelpTellsOfPlaces(t *testing.T) {
	t.Parallel()
	for args, note := range map[string]bool{
		"resume --help": true, "held ignore --help": true, "help apply": true, "rejected list --help": true,
		"up --help": false, "places --help": false, "held --help": false, "--help": false,
	} {
		out, err := command(t.Context(), nil, strings.Fields(args)...)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if told := strings.Contains(out, "the flags of `blotter places --help`"); told != note || !told && strings.Contains(out, "--raw string") != strings.Contains("up places", strings.Fields(args)[0]) {
			t.Errorf("%s says\n%s", args, out)
		}
	}
	if out, err := command(t.Context(), nil, "--version"); err != nil || !strings.HasPrefix(out, "blotter version ") || !strings.Contains(out, "go1.") {
		t.Errorf("the version is %q, %v", out, err)
	}
}

// A hint names the flags that a command needs: not those for what the folder remembers.
func TestHintsNameWhatIsNotRemembered(t *testing.T) {
	t.Parallel()
	dir, raw := t.TempDir(), t.TempDir()
	root := newRoot()
	var at site
	cmd, _, err := root.Find([]string{"tables"})
	if err == nil {
		err = cmd.ParseFlags([]string{"--dir", dir, "--raw", raw, "--lake", "s3://agency-lake", "--nats", "nats://u:secret@h"})
	}
	if err != nil {
		t.Fatal(err)
	}
	at = siteOf(cmd)
	if got, want := at.flags(), " --dir "+dir+" --lake s3://agency-lake --raw "+raw; !sameWords(got, want) {
		t.Errorf("before anything is remembered: %q, expected %q", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "places.json"), []byte(`{"raw":"`+raw+`","lake":"s3://another"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := at.flags(), " --dir "+dir+" --lake s3://agency-lake"; !sameWords(got, want) {
		t.Errorf("with places of the folder: %q, expected %q", got, want)
	}
}

func sameWords(a, b string) bool {
	count := map[string]int{}
	for _, w := range strings.Fields(a) {
		count[w]++
	}
	for _, w := range strings.Fields(b) {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// A folder that nobody has used is not begun without a table: its name may be mistyped.
func TestUpBeginsNothingWithoutTables(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mistyped")
	if _, err := command(t.Context(), nil, "up", "--until-idle", "--dir", dir); err == nil || !strings.Contains(err.Error(), "there is no Blotter in "+dir) || !strings.Contains(err.Error(), "--tables FILE") {
		t.Errorf("it ends with %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is there: %v", err)
	}
	// Tables that were applied before are enough.
	tables := filepath.Join(t.TempDir(), "rms.yaml")
	if err := os.WriteFile(tables, []byte(testTables), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t.Context(), nil, "apply", "-f", tables, "--dir", dir); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	if out, err := command(t.Context(), nil, "up", "--until-idle", "--dir", dir); err != nil || strings.Contains(out, "registered") {
		t.Errorf("up: %v\n%s", err, out)
	}
}

// The first registrations are told in one line, changes one by one.
func TestTellRegistered(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	said := []string{"rms.a registered like this already, version 1", "rms.b registered, version 2: column x string is new"}
	for _, name := range []string{"c", "d", "e", "f", "g", "h"} {
		said = append(said, "rms."+name+" registered, version 1")
	}
	tellRegistered(&out, said)
	want := "rms.b registered, version 2: column x string is new\nregistered for the first time: rms.c, rms.d, rms.e, rms.f, rms.g and 1 more\n"
	if out.String() != want {
		t.Errorf("it says %q", out.String())
	}
}
