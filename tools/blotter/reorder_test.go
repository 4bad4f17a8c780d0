package main

import (
	"strings"
	"testing"
)

// sequenced registers a table whose changes are to go by a sequence.
const sequenced = `
database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true, change_seq_column: seq}
load: {quiet_period: 0s}
tables:
  - {name: reports, primary_key: [id], columns: {id: bigint not null, status: string}}
`

// A load lacks a column that no change has either: the first change file tells of it, and
// what its report says to do is of use. Once a change is published the order stays.
func TestAnOrderThatTheFilesLack(t *testing.T) {
	t.Parallel()
	s := startSystemOf(t, sequenced)
	s.deliver("LOAD00000001.csv", "id,status\n1,open\n2,open\n")
	s.sealed()
	s.deliver("20240304-060000000.csv", "Op,id,status\nU,1,closed\n")
	out := s.must("table", "show", "rms.reports")
	if !strings.Contains(out, "file.column_missing") || !strings.Contains(out, "set change_seq_column to null, apply and resume with --retry") {
		t.Errorf("the table is\n%s", out)
	}
	byFile := s.write("rms.yaml", strings.Replace(sequenced, ", change_seq_column: seq", "", 1))
	if out := s.must("apply", "-f", byFile, "--reason", "the task has no such rule"); out != "rms.reports registered, version 2: dms settings changed\n" {
		t.Errorf("apply says %s", out)
	}
	s.must("resume", "rms.reports", "--retry")
	s.settle()
	const want = "id,status\n1,closed\n2,open\n"
	if got := s.must("cat", "rms.reports"); got != want {
		t.Errorf("the table holds\n%s", got)
	}
	again := s.write("rms.yaml", sequenced)
	for _, state := range []string{"running", "stopped"} {
		if state == "stopped" {
			s.halt()
		}
		if _, err := s.blotter("apply", "-f", again); err == nil || !strings.Contains(err.Error(), "the order of changes goes by change_seq instead of file, but files were published otherwise") {
			t.Errorf("%s: the order goes back with %v", state, err)
		}
	}
	if out := s.must("replay", "--rows"); !strings.Contains(out, "rms.reports") {
		t.Errorf("the replay says %s", out)
	}
}
