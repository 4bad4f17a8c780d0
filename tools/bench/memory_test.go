package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// TestMain lets the test binary be the process that stages a file.
func TestMain(m *testing.M) {
	if task, ok := os.LookupEnv(stageVariable); ok {
		if err := stageAsTold(context.Background(), task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func measured(t *testing.T, plan memoryPlan) (string, error) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	plan.program, plan.seed = program, 1
	var out bytes.Buffer
	err = measureMemory(t.Context(), plan, &out)
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left in the folder of temporary files: %v", left)
	}
	return out.String(), err
}

// TestMemory does not hold the bound, which is for a large file: under the race
// detector everything takes several times as much.
func TestMemory(t *testing.T) {
	out, err := measured(t, memoryPlan{size: 16 << 20, bound: 4 << 30, formats: loadFormats})
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(loadFormats)+2 || lines[len(lines)-1] != "ok   each within 4.0 GiB" {
		t.Fatalf("printed:\n%s", out)
	}
	for i, f := range loadFormats {
		if !strings.HasPrefix(lines[i+1], string(f)) || !strings.Contains(lines[i+1], " 16 MiB ") {
			t.Errorf("%s is told of as %q", f, lines[i+1])
		}
	}
}

func TestMemoryAboveTheBound(t *testing.T) {
	out, err := measured(t, memoryPlan{size: 1 << 20, bound: 1 << 20, formats: []loadFormat{formatCSV}})
	if !errors.Is(err, errMemory) || !strings.Contains(out, "FAIL csv: a peak of ") || strings.Contains(out, "ok ") {
		t.Errorf("%v, printed:\n%s", err, out)
	}
}

// TestLoadFile: every form has the same rows, and the compressed one several members.
func TestLoadFile(t *testing.T) {
	dir := t.TempDir()
	write := func(f loadFormat) ([]byte, loadFile) {
		t.Helper()
		name := filepath.Join(dir, f.fileName())
		done, err := writeLoadFile(name, f, 3*memberBytes/2, 7)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return content, done
	}
	text, plain := write(formatCSV)
	packed, compressed := write(formatGzip)
	if plain.bytes != int64(len(text)) || plain.plain != plain.bytes || compressed.plain != plain.plain ||
		compressed.rows != plain.rows || compressed.keys != plain.keys || plain.keys >= plain.rows {
		t.Errorf("CSV %+v, gzip %+v", plain, compressed)
	}
	rest := bytes.NewReader(packed)
	z, err := gzip.NewReader(rest)
	if err != nil {
		t.Fatal(err)
	}
	members := 0
	var unpacked bytes.Buffer
	for {
		z.Multistream(false)
		if _, err := io.Copy(&unpacked, z); err != nil {
			t.Fatal(err)
		}
		members++
		if err := z.Reset(rest); err != nil {
			break
		}
	}
	if members != 2 || !bytes.Equal(unpacked.Bytes(), text) {
		t.Errorf("%d members unpack to %d bytes, the same rows take %d", members, unpacked.Len(), len(text))
	}
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-memory", "-size", "32MiB", "-bound", "100MB", "-formats", "gzip,csv"}, io.Discard)
	if err != nil || o.size != 32<<20 || o.bound != 100_000_000 || o.formats.String() != "gzip,csv" {
		t.Errorf("parsed as %+v, %v", o, err)
	}
	for _, bad := range []string{"-size=", "-size=0", "-size=many", "-formats=csv,xml", "-memory -maintained=x", "memory"} {
		if _, err := parse(strings.Fields(bad), io.Discard); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
