package losses

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/openblotter/blotter/pkg/dms"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// reached are what the property must have met over all its runs.
var reached = []string{
	"a loss", "a copy was put back", "a rollback", "a loss was accepted", "a copy was accepted", "a copy was refused", "nothing to accept",
	"files came in again", "a table that was lost as a whole", "a step of maintenance", "a fence",
}

// TestLosses: whatever is lost and put back, and in whatever order that is accepted and taken
// in again, a table that takes changes holds exactly the files that its state says, and in
// the end every row.
func TestLosses(t *testing.T) {
	settings := map[string]string{"rapid.nofailfile": "true"}
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		settings[checks.Name] = "40" // each is a life of a table on disk
	}
	for name, value := range settings {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for name, keyed := range map[string]bool{"with a key": true, "without a key": false} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				s := newSystem(t, rt, keyed, seen)
				defer s.close()
				s.play()
			})
		})
	}
	for _, what := range reached {
		if seen[what] == 0 && !t.Failed() {
			t.Errorf("never reached: %s", what)
		}
	}
	if testing.Verbose() {
		for _, what := range slices.Sorted(maps.Keys(seen)) {
			t.Logf("%6d %s", seen[what], what)
		}
	}
}

// play has anything happen, and then everything be mended.
func (s *system) play() {
	s.must(s.order(func(o lockmanager.Order) lockmanager.Command { return lockmanager.Register{Order: o, Spec: s.spec} }))
	kinds := []string{
		"deliver", "deliver", "work", "settle", "publish", "publish", "keep", "keep", "lose", "put back", "put back", "roll back", "maintain", "tell",
		"resume", "accept", "accept", "tell and accept", "unskip", "unskip", "force", "find", "branch",
	}
	for range s.even(10, 40, "steps") {
		switch kinds[s.even(0, len(kinds)-1, "step")] {
		case "deliver":
			s.deliver()
		case "work":
			s.work()
		case "settle":
			s.settle()
		case "publish":
			s.deliver()
			s.settle()
		case "keep":
			s.keep()
		case "lose":
			s.saw("a loss")
			s.put(nil)
		case "put back":
			s.putBack()
		case "roll back":
			s.rollBack()
		case "maintain":
			s.maintain()
		case "tell":
			s.tell()
		case "tell and accept":
			s.tell()
			s.accept()
		case "resume":
			s.resume()
		case "accept":
			s.accept()
		case "find":
			s.find()
		case "branch":
			s.branch()
		case "unskip":
			s.takeAgain(s.even(1, 3, "at most"))
		case "force":
			_ = s.order(func(o lockmanager.Order) lockmanager.Command { return lockmanager.Pause{Order: o, Force: true} })
		}
	}
	s.mendAll()
	s.checkWhole()
}

// mendAll does what the pages tell an operator to do until nothing is left to do.
func (s *system) mendAll() {
	for range 20 {
		s.settle()
		if s.state.Pause != nil {
			if !s.accept() {
				s.resume()
			}
			continue
		}
		s.tell()
		if s.state.Maintenance.Failure != nil {
			s.accept()
			continue
		}
		if !s.takeAgain(lockmanager.MaxUnskipped) {
			return
		}
	}
	s.rt.Fatalf("it is not mended in the end: paused %+v, maintenance %+v", s.state.Pause, s.state.Maintenance)
}

// branch has the table go on from an older copy, and then from others of before and of since.
func (s *system) branch() {
	for range 3 {
		if s.keep(); s.even(0, 1, "delivered") == 0 {
			s.deliver()
			s.settle()
		}
		s.putBack()
		s.tell()
		s.accept()
	}
}

// find has a catalog lost, its files taken in again, and then a copy of it found.
func (s *system) find() {
	s.keep()
	s.saw("a loss")
	s.put(nil)
	s.tell()
	s.accept()
	s.takeAgain(3)
	s.settle()
	s.saw("a copy was put back")
	s.older = true
	s.put(s.copies[len(s.copies)-1])
	s.tell()
	s.accept()
}

func (s *system) maintain() {
	_ = s.order(func(o lockmanager.Order) lockmanager.Command { return lockmanager.Maintain{Order: o} })
}

func (s *system) resume() {
	_ = s.order(func(o lockmanager.Order) lockmanager.Command { return lockmanager.Resume{Order: o} })
}

// tell has the lake tell of a loss of a table to which no change comes.
func (s *system) tell() {
	s.maintain()
	s.settle()
}

// accept accepts a loss, if there is one. Of a copy that is refused the operator puts that
// back which the table had last.
func (s *system) accept() bool {
	err := s.order(func(o lockmanager.Order) lockmanager.Command { return lockmanager.Resume{Order: o, AcceptLoss: true} })
	switch {
	case err == nil:
		s.saw("a loss was accepted")
		s.last = s.told
		if s.older {
			s.saw("a copy was accepted")
		}
		return true
	case isTwice(err):
		s.saw("a copy was refused")
		s.putLast()
	default:
		s.saw("nothing to accept")
	}
	return false
}

// takeAgain has some of the lost files taken in again, all of which are oldest first.
func (s *system) takeAgain(atMost int) bool {
	var lost []dms.FileID
	for _, id := range s.ids {
		if f := s.state.Files[id]; f != nil && s.state.Lost(f) {
			lost = append(lost, id)
		}
	}
	if len(lost) == 0 {
		return false
	}
	lost = lost[:min(len(lost), atMost)]
	if err := s.order(func(o lockmanager.Order) lockmanager.Command { return lockmanager.Unskip{Order: o, Files: lost} }); err != nil {
		s.rt.Fatalf("lost files are not taken in again: %v", err)
	}
	s.saw("files came in again")
	return true
}

// checkAgreed: a table that has just taken changes holds the files that its state says are
// there, each row once.
func (s *system) checkAgreed() {
	has := s.rows()
	for _, id := range s.ids {
		f := s.state.Files[id]
		want := f != nil && f.Status == lockmanager.Published && !s.state.Lost(f)
		for n, row := range s.files[id] {
			got := has[placeOf(id, n)]
			if got > 1 || got == 1 && !want || got == 0 && want && !s.keyed { // in a table with a key a later change may have taken its place
				s.rt.Fatalf("row %q of file %d of the table is there %d times, the state says %t: %+v", row, slices.Index(s.ids, id), got, want, f)
			}
		}
	}
}

// placeOf names a row of a file, which begins with a header.
func placeOf(id dms.FileID, n int) string { return fmt.Sprintf("%s/%d", id, n+2) }

// checkWhole: in the end the rows are those of all files.
func (s *system) checkWhole() {
	s.checkAgreed()
	want := map[string]string{} // by key, or by row
	for _, id := range s.ids {
		for n, row := range s.files[id] {
			place := placeOf(id, n)
			switch key := row[2:3]; {
			case !s.keyed:
				want[place] = place
			case row[0] == 'D':
				delete(want, key)
			default:
				want[key] = place
			}
		}
	}
	has := s.rows()
	for _, place := range want {
		if has[place] != 1 {
			s.rt.Fatalf("in the end row %s is there %d times", place, has[place])
		}
	}
	if len(has) != len(want) {
		s.rt.Fatalf("in the end there are %d rows, expected %d: %v", len(has), len(want), has)
	}
}
