package dynamo

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
)

var reports = dms.TableID{DB: "rms", Table: "reports"}

// small are limits that a few rows exceed.
var small = WithLimits(Limits{Inline: 1000, Files: 10, Bytes: 10_000, Part: 8000})

// large is a change that does not fit into one transaction.
func large(expect uint64, rows int, state string) control.Change {
	c := control.Change{Table: reports, Expect: expect, State: bytes.Repeat([]byte(state), 500*rows)}
	for n := range rows {
		c.Files = append(c.Files, control.FileRow{
			FileID: dms.FileID(fmt.Sprintf("%032x", n)), Kind: dms.KindChange, State: state, Live: true,
			Order: dms.FileOrder(fmt.Sprintf("%08d", n)), LastModified: time.Unix(int64(n), 0).UTC(), Body: []byte(state),
		})
		c.Outbox = append(c.Outbox, bytes.Repeat([]byte{byte(n)}, 1000))
	}
	return c
}

// holds checks that the store has exactly what c wrote.
func holds(t *testing.T, s *Store, c control.Change) {
	t.Helper()
	item, err := s.Table(t.Context(), c.Table)
	if err != nil {
		t.Fatal(err)
	}
	if item.Version != c.Expect+1 || !bytes.Equal(item.State, c.State) || !slices.EqualFunc(item.Outbox, c.Outbox, bytes.Equal) {
		t.Errorf("version %d with %d bytes and %d events, want version %d with %d and %d",
			item.Version, len(item.State), len(item.Outbox), c.Expect+1, len(c.State), len(c.Outbox))
	}
	live, err := s.LiveFiles(t.Context(), c.Table)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(live, c.Files, func(a, b control.FileRow) bool {
		return a.FileID == b.FileID && a.State == b.State && a.Order == b.Order && bytes.Equal(a.Body, b.Body)
	}) {
		t.Errorf("%d rows, want %d as they were written", len(live), len(c.Files))
	}
}

// leftover counts the items that should not be there.
func leftover(t *testing.T, s *Store, except string) int {
	t.Helper()
	n := 0
	for _, prefix := range []string{"PART#", pendingSK} {
		r := ranged{pk: tablePK(reports), key: attrSK, from: prefix, to: prefix + last}
		if err := s.query(t.Context(), r, func(item map[string]types.AttributeValue) error {
			f := fields{item: item}
			if except == "" || f.text(attrSK) < except {
				n++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestLarge: a commit of thousands of rows and megabytes is one commit.
func TestLarge(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	s := open(t, client, testTable(t, client))
	first := large(0, 250, "waiting")
	if err := s.Commit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	holds(t, s, first)
	if n := leftover(t, s, partsBelow(1)); n != 0 {
		t.Errorf("%d items were left", n)
	}
	stale := large(0, 200, "stale")
	if err := s.Commit(t.Context(), stale); !errors.Is(err, control.ErrConflict) {
		t.Errorf("a stale commit: %v", err)
	}
	unflushed := large(1, 200, "soon")
	if err := s.Commit(t.Context(), unflushed); !errors.Is(err, control.ErrConflict) {
		t.Errorf("a commit over a full outbox: %v", err)
	}
	holds(t, s, first)
	if err := s.ClearOutbox(t.Context(), reports, 1); err != nil {
		t.Fatal(err)
	}
	second := large(1, 250, "granted")
	second.Outbox = nil
	if err := s.Commit(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	holds(t, s, second)
	if n := leftover(t, s, partsBelow(2)); n != 0 {
		t.Errorf("%d items of older versions were left", n)
	}
}

// TestRefused: what DynamoDB cannot hold is refused before anything is written.
func TestRefused(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	s := open(t, client, testTable(t, client))
	for what, c := range map[string]control.Change{
		"a row":          {Table: reports, Files: []control.FileRow{{FileID: "00", Body: make([]byte, 400<<10)}}},
		"a registration": {Table: reports, Spec: &control.Spec{Version: 1, JSON: make([]byte, 400<<10)}},
		"an order":       {Table: reports, Files: []control.FileRow{{FileID: "00", Order: dms.FileOrder(bytes.Repeat([]byte("o"), 1024))}}},
	} {
		err := s.Commit(t.Context(), c)
		if err == nil || errors.Is(err, control.ErrConflict) {
			t.Errorf("%s that is too large: %v", what, err)
		}
	}
	if tables, err := s.Tables(t.Context()); err != nil || len(tables) > 0 {
		t.Errorf("tables %v, %v", tables, err)
	}
}

// TestDeathBetweenSteps lets a process die at each step of a large commit.
// Another one finds the commit whole or not at all, and goes on from there.
func TestDeathBetweenSteps(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	for _, at := range []step{stepParts, stepCommitted, stepLaidSome, stepLaid} {
		t.Run(string(at), func(t *testing.T) {
			table := testTable(t, client)
			first := large(0, 40, "waiting")
			first.Outbox = nil
			if err := open(t, client, table, small).Commit(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			second := large(1, 40, "granted")
			second.Outbox = nil
			dying := open(t, client, table, small)
			dying.step = func(s step) error {
				if s == at {
					return errDied
				}
				return nil
			}
			if err := dying.Commit(t.Context(), second); !errors.Is(err, errDied) {
				t.Fatalf("the process lives: %v", err)
			}
			other := open(t, client, table, small)
			want := second
			if at == stepParts {
				want = first
			}
			holds(t, other, want)
			next := large(want.Expect+1, 25, "staged")
			if err := other.Commit(t.Context(), next); err != nil {
				t.Fatal(err)
			}
			next.Files = append(next.Files, want.Files[25:]...)
			holds(t, other, next)
			// What died at stepParts had the version that next has now.
			if n := leftover(t, other, partsBelow(2)); n != 0 {
				t.Errorf("%d items were left", n)
			}
		})
	}
}

// TestCommitAfterDeath: who commits without having read lays the rows out first.
func TestCommitAfterDeath(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	table := testTable(t, client)
	dying := open(t, client, table, small)
	dying.step = func(s step) error {
		if s == stepCommitted {
			return errDied
		}
		return nil
	}
	first := large(0, 40, "waiting")
	first.Outbox = nil
	if err := dying.Commit(t.Context(), first); !errors.Is(err, errDied) {
		t.Fatalf("the process lives: %v", err)
	}
	s := open(t, client, table, small)
	row := first.Files[7]
	row.State = "granted"
	second := control.Change{Table: reports, Expect: 1, State: []byte("s"), Files: []control.FileRow{row}}
	if err := s.Commit(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	second.Files = slices.Clone(first.Files)
	second.Files[7] = row
	holds(t, s, second)
}

// TestSlowHelper: who lays rows out and is overtaken changes nothing any more.
func TestSlowHelper(t *testing.T) {
	client := dynamodb.NewFromConfig(awstest.Config(t))
	table := testTable(t, client)
	first := large(0, 40, "waiting")
	first.Outbox = nil
	slow, fast := open(t, client, table, small), open(t, client, table, small)
	second := large(1, 40, "granted")
	second.Outbox = nil
	overtaken := false
	slow.step = func(s step) error {
		if s != stepLaidSome || overtaken {
			return nil
		}
		overtaken = true
		if _, err := fast.LiveFiles(t.Context(), reports); err != nil {
			return err
		}
		return fast.Commit(t.Context(), second)
	}
	if err := slow.Commit(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if !overtaken {
		t.Fatal("nobody was overtaken")
	}
	holds(t, slow, second)
}
