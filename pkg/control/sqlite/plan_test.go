package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestQueriesUseTheirIndexes: a table of a million files must not be walked
// for its live ones.
func TestQueriesUseTheirIndexes(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "control.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for index, query := range map[string]string{
		"files_live":      filesLive + liveFiles,
		"files_published": filesPublished + publishedChanges,
		"files_order":     filesOfTable + newestFirst,
		"files_state":     filesByState + ` AND f.state = ?` + newestFirst,
		"objects_state":   selectObjects + objectsIn,
		// A count touches the index alone, ids the key of the table.
		"COVERING objects_state": countObjects,
		"PRIMARY KEY":            filesByID,
	} {
		args := make([]any, strings.Count(query, "?"))
		for i := range args {
			args[i] = "1"
		}
		rows, err := s.db.Reads().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		sorts := strings.Contains(text, "TEMP B-TREE") && index != "files_published"
		want := "USING INDEX " + index + " "
		if covering, ok := strings.CutPrefix(index, "COVERING "); ok {
			want = "USING COVERING INDEX " + covering + " "
		} else if index == "PRIMARY KEY" {
			want = "USING PRIMARY KEY (table_id=? AND file_id>? AND file_id<?)"
		}
		if !strings.Contains(text, want) || sorts {
			t.Errorf("query meant for %s runs as:\n%s", index, text)
		}
	}
}
