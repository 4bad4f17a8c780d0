package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRegistrationMended has an operator mend a registration over which the first
// file of a table failed: the key names a column that DMS does not write, and a
// number is a text.
func TestRegistrationMended(t *testing.T) {
	t.Parallel()
	const settings = "database: rms\nsource: {prefix: dms/, schema: rms}\n" +
		"dms: {header: true, op_column: Op, timestamp_column: null, change_seq_column: null}\ntables:\n"
	const wrong = settings + "  - {name: links, primary_key: [id], columns: {id: bigint, report_id: bigint, person_id: bigint, badge: int}}\n"
	const right = settings + "  - {name: links, primary_key: [report_id, person_id], columns: {id: bigint, report_id: bigint, person_id: bigint, badge: string}}\n"
	s := newSystem(t, "", wrong)
	register := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.tables, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.write([]byte("Op,report_id,person_id,badge\nI,1,1,A12\nI,1,2,A13\n"), "dms/rms/links/20240115-070100000.csv", time.Date(2024, 1, 15, 7, 1, 0, 0, time.UTC))
	s.up(exitUnsettled)
	register(right)
	s.must(0, "apply", "-f", s.tables)
	s.must(0, "resume", "rms.links", "--retry", "--reason", "the key was registered wrong")
	s.up(0)
	s.write([]byte("Op,report_id,person_id,badge\nU,1,2,B1\nD,1,1,\n"), "dms/rms/links/20240115-070200000.csv", time.Date(2024, 1, 15, 7, 2, 0, 0, time.UTC))
	s.up(0)
	got := s.cat("rms.links", `\N`)
	if len(got.rows) != 1 || !slices.Equal(got.rows[0][:4], []string{`\N`, "1", "2", "B1"}) {
		t.Errorf("the table has %v", got.rows)
	}
	// Now there are rows that another key or type would not fit.
	register(wrong)
	if r := s.run("apply", "-f", s.tables); r.code == 0 || !strings.Contains(r.stderr, "badge cannot change from string to int") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
