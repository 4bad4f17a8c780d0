package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/eventlog"
	"github.com/openblotter/blotter/pkg/objects/local"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// mend has an operator mend the rows of tallies that were set aside, and ask twice
// for them to come in.
func (w *world) mend() {
	w.t.Helper()
	failed, err := local.New("failed", filepath.Join(w.site.dir, "failed"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		if err := failed.Close(); err != nil {
			w.t.Error(err)
		}
	}()
	key := w.rejectedKey(failed)
	content, err := mendIDs(w.ctx, failed, key)
	if err != nil {
		w.t.Fatal(err)
	}
	mended := path.Dir(key) + "/mended-1.jsonl"
	out, err := failed.Create(w.ctx, mended)
	if err == nil {
		_, err = io.WriteString(out, content)
	}
	if err == nil {
		_, err = out.Commit(w.ctx)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for range 2 {
		w.try("replay "+mended, func(n *node) error {
			answer, err := n.router.Replay(w.ctx, ingestrouter.ReplayRequest{Actor: "operator:test", Reason: "test", Table: "rms.tallies", Key: mended})
			if answer.Refused != "" {
				w.t.Errorf("the mended rows are refused: %s %v", answer.Refused, answer.Faults)
			}
			return err
		})
		w.settle()
	}
	o := w.observer()
	defer o.closeOrFail(w.t)
	item, err := o.store.Table(w.ctx, dms.TableID{DB: "rms", Table: "tallies"})
	if err != nil {
		w.t.Fatal(err)
	}
	if state, err := lockmanager.DecodeState(item.State); err != nil || state.Rejected != 0 {
		w.t.Errorf("%d rows are set aside once they are mended (%v)", state.Rejected, err)
	}
}

// rejectedKey finds the rows that were set aside of tallies, in the staging that
// was published: others may have been told of before a crash.
func (w *world) rejectedKey(failed *local.Bucket) string {
	w.t.Helper()
	o := w.observer()
	defer o.closeOrFail(w.t)
	tallies := dms.TableID{DB: "rms", Table: "tallies"}
	for r, err := range o.log.Read(w.ctx, eventlog.Filter{Table: tallies, Event: "RowsRejected"}) {
		if err != nil {
			w.t.Fatal(err)
		}
		e := r.Event.(*blotterv1.RowsRejected)
		row, err := o.store.File(w.ctx, tallies, dms.FileID(e.GetFileId()))
		if err != nil {
			w.t.Fatal(err)
		}
		f, err := lockmanager.DecodeFile(row.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		rejected, err := transform.OpenRejected(w.ctx, failed, e.GetRejectedKey())
		if err != nil {
			w.t.Fatal(err)
		}
		token := rejected.Header.Token
		if err := rejected.Close(); err != nil {
			w.t.Fatal(err)
		}
		if token == f.Staged.Token {
			return e.GetRejectedKey()
		}
	}
	w.t.Fatal("the log tells of no rows that were set aside")
	return ""
}

// mendIDs makes numbers of the ids that say "number <id>".
func mendIDs(ctx context.Context, failed *local.Bucket, key string) (_ string, err error) {
	rejected, err := transform.OpenRejected(ctx, failed, key)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rejected.Close()) }()
	var b bytes.Buffer
	out, err := transform.NewMendedWriter(&b, rejected.Header)
	if err != nil {
		return "", err
	}
	for row, err := range rejected.Rows(ctx) {
		if err != nil {
			return "", err
		}
		fields, err := rejected.Header.Fields(row)
		if err != nil {
			return "", err
		}
		mended := transform.MendedRow{Row: row.Row}
		for _, f := range fields {
			text := strings.TrimPrefix(string(f.Text), "number ")
			mended.Fields = append(mended.Fields, &text)
		}
		if err := out.Write(mended); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

const mendedLoad = `database: rms
source: {prefix: dms/, schema: rms}
dms: {header: true}
on_bad_row: quarantine
tables:
  - {name: reports, primary_key: [id], columns: {id: int not null, status: text, fee: "numeric(8, 2)"}}
`

// TestMendedRowsTakeTheirPlace: rows of a load file and of a change file are set
// aside, exported, mended and brought in by the binary, each at the place that it
// has in its file: what changed the same key later wins, what came before it does
// not. Brought in again they change nothing, and the log still folds to the state.
func TestMendedRowsTakeTheirPlace(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "", mendedLoad)
	const load, changes = "dms/rms/reports/LOAD00000001.csv", "dms/rms/reports/20240115-070100000.csv"
	s.write([]byte("id,status,fee\n1,open,1.00\n2,open,two\n3,open,three\n"), load, notifiedAt)
	s.write([]byte("Op,id,status,fee\nU,1,paid,four\nU,2,closed,2.50\nI,4,open,x\n"), changes, notifiedAt)
	if out := s.up(exitUnsettled); !strings.Contains(out, "4 rows are set aside") {
		t.Errorf("the run does not tell of the bad rows:\n%s", out)
	}
	ids := s.publishedIDs()
	s.bringIn(ids[load], "two", "2.00", "three", "3.00")
	s.bringIn(ids[changes], "four", "4.00", "x", "5.00")
	s.up(0)
	want := [][]string{{"1", "paid", "4.00"}, {"2", "closed", "2.50"}, {"3", "open", "3.00"}, {"4", "open", "5.00"}}
	equalTables(t, "rms.reports", s.cat("rms.reports", ""), csvTable{[]string{"id", "status", "fee"}, want})
	before := s.must(0, "cat", "rms.reports", "--provenance")
	s.bringInAgain()
	s.up(0)
	if after := s.must(0, "cat", "rms.reports", "--provenance"); after != before {
		t.Errorf("brought in again they make of\n%s\n%s", before, after)
	}
	s.must(0, "replay")
}

// publishedIDs gives the ids of the files with rows that were set aside, by key.
func (s *system) publishedIDs() map[string]string {
	s.t.Helper()
	ids := map[string]string{}
	var files []struct {
		FileID string `json:"file_id"`
		Key    string `json:"key"`
	}
	if err := json.Unmarshal([]byte(s.must(0, "rejected", "list", "rms.reports", "--json")), &files); err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		ids[f.Key] = f.FileID
	}
	return ids
}

// bringIn exports the rows of a file that were set aside, puts new text in the
// place of old, and brings them in.
func (s *system) bringIn(id string, oldNew ...string) {
	s.t.Helper()
	rows := filepath.Join(s.dir, id+".csv")
	s.must(0, "rejected", "export", "rms.reports", "--file", id, "-o", rows)
	b, err := os.ReadFile(rows)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(oldNew); i += 2 {
		b = bytes.ReplaceAll(b, []byte(","+oldNew[i]+"\n"), []byte(","+oldNew[i+1]+"\n"))
	}
	if err := os.WriteFile(rows, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if out := s.must(0, "rejected", "replay", "rms.reports", rows, "--file", id, "--reason", "test"); !strings.HasPrefix(out, "2 rows mended and 0 dropped") {
		s.t.Errorf("it says %s", out)
	}
}

// bringInAgain asks once more for all that bringIn brought in.
func (s *system) bringInAgain() {
	s.t.Helper()
	for _, id := range s.publishedIDs() {
		out := s.must(0, "rejected", "replay", "rms.reports", filepath.Join(s.dir, id+".csv"), "--file", id, "--reason", "test")
		if !strings.HasPrefix(out, "these rows came in before") || !strings.Contains(out, "published") {
			s.t.Errorf("asked for again it says %s", out)
		}
	}
}
