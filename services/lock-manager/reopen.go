package lockmanager

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// A load that is open again is divided anew, with what came since it was sealed. Older
// versions of its files may show then that it was two loads, of which one replaced the
// other. What is only staged follows the rule of generations; but rows that readers see
// are not taken from them without an operator's word.

// loadReopen takes the late load files into the load that they came too late for.
func (s *State) loadReopen(c LoadReopen) ([]proto.Message, string, error) {
	late := s.late()
	if len(late) == 0 {
		return nil, "", refuse("no load file of %s came late", s.Table)
	}
	if s.Grant != nil {
		return nil, "", refuse("transaction %d of %s still runs; try again when it has ended", s.Grant.Token, s.Table)
	}
	if s.Load != nil && !s.Load.Sealed {
		return nil, "", refuse("load file %s is older than the load of %s that is open; first end that with "+
			"`blotter load complete %s`, or refuse the file with `blotter load ignore %s`",
			late[0].Object.Key, s.Table, s.Table, s.Table)
	}
	reopened := &blotterv1.LoadReopened{Generation: max(s.Generation, 1), Reason: c.Reason}
	if s.Load != nil {
		reopened.Generation = max(s.Load.Generation, s.Load.Base+1)
	}
	if err := s.refusesReopened(s.foresee(reopened), late); err != nil {
		return nil, "", err
	}
	return append([]proto.Message{reopened}, s.liftLate()...),
		fmt.Sprintf("the load of %s is open again with %d more file(s); end it with `blotter load complete %s`",
			s.Table, len(late), s.Table), nil
}

// refusesReopened says why late files cannot be taken into a load; after is the state with
// it open. Those that prove to be of a load before it are no reason: they are superseded.
func (s *State) refusesReopened(after *State, late []*File) error {
	loads := after.generations()
	own, apart := after.ownIn(loads)
	if apart != nil {
		return refuse("older versions of load files came after the load of %s was sealed, and divide it: by their times, %s is of another load "+
			"than the other files in force, and its rows would be gone. Refuse what came late with `blotter load ignore %s`. If the table "+
			"lacks it, reload the table in DMS, or, "+orCopy("all its load files", ""),
			s.Table, apart.Object.Key, s.Table)
	}
	if s.Load != nil {
		for _, id := range s.Load.Files {
			own = max(own, loadOf(loads, id))
		}
	}
	for _, f := range late {
		i := loadOf(loads, f.ID)
		alone := i > own && !slices.ContainsFunc(loads[i], func(l dms.LoadFile) bool { return !s.Files[l.FileID].Late })
		if alone {
			return refuse("%s came late in several versions: the last would be a load of its own, in whose place the table's rows would be "+
				"gone. Refuse what came late with `blotter load ignore %s`, then copy the version that belongs to the load over itself: it "+
				"comes anew, and late, and `blotter load reopen %s` takes it in", f.Object.Key, s.Table, s.Table)
		}
	}
	return nil
}

// openAgain reports whether the load in force is open again. The files that it was
// published without stay its own.
func (s *State) openAgain() bool { return s.Load != nil && s.Load.Base < s.Generation }

// again reports whether a load file is one of the generation in force, which is open
// again: its rows are in the table.
func (s *State) again(f *File) bool {
	return loadCandidate(f) && s.Generation > 0 && f.Generation == s.Generation
}

// ownIn gives the index of the newest load that holds files of the generation in force,
// which is open again, those among them that it lacks, too, and a file of it that is in
// another one; -1 and nil if none is.
func (s *State) ownIn(loads [][]dms.LoadFile) (own int, apart *File) {
	own = -1
	files := s.files(func(f *File) bool {
		return s.again(f) || f.Kind == dms.KindLoad && f.Status == Skipped && f.Generation == s.Generation && s.ofLoad(f)
	})
	for _, f := range files {
		own = max(own, loadOf(loads, f.ID))
	}
	for _, f := range files {
		if loadOf(loads, f.ID) != own {
			return own, f
		}
	}
	return own, nil
}

// loadOf gives the index of the load that holds a file; -1 if none does.
func loadOf(loads [][]dms.LoadFile, id dms.FileID) int {
	return slices.IndexFunc(loads, func(load []dms.LoadFile) bool {
		return slices.ContainsFunc(load, func(l dms.LoadFile) bool { return l.FileID == id })
	})
}

// divided gives what an operator must say before a load is sealed that holds files of the
// generation in force: whether others of these may go, or changes. Both were published,
// and by versions that came since belong to a load before it.
func (s *State) divided(loads [][]dms.LoadFile) []doubt {
	own, apart := s.ownIn(loads)
	if own < 0 || own != len(loads)-1 {
		return nil // a newer load takes the place of all of it
	}
	generation := s.Load.Base + uint64(len(loads))
	begin := s.beginning(generation, loads[own][0].LastModified)
	gone := ""
	switch changes := s.boundAnew(generation, begin); {
	case apart != nil:
		gone = fmt.Sprintf("by their times, %s, and the changes before %s, are of a load before the others, and would be gone from the table",
			written(apart.Object.Key, apart.Object.LastModified), timeOf(begin))
	case changes > 0:
		gone = fmt.Sprintf("a load was before it, and %s older than %s: published, they would be gone from the table",
			filesAre(changes, "change file"), timeOf(begin))
	default:
		return nil
	}
	return []doubt{{HeldDivided, "older versions of load files came after the load was sealed, and divide it: " + gone +
		". Reload the table in DMS, or, " + orCopy("all its load files", "")}}
}

// boundAnew counts the published changes that are bound to the generation in force, and
// to one before it once that is the generation of this number, and begins then.
func (s *State) boundAnew(generation uint64, begin time.Time) int {
	if generation == s.Generation {
		return 0
	}
	return len(s.files(func(f *File) bool {
		return f.Kind == dms.KindChange && f.Status == Published && f.Mending.IsZero() && !s.replaced(f) && f.bound().Before(begin)
	}))
}

// openingBase counts the generations before a load that is opened. Where the one in force
// was open again, and a newer load was abandoned that would have replaced it, it is still.
func (s *State) openingBase() uint64 {
	if len(s.files(s.again)) > 0 {
		return s.Generation - 1
	}
	return s.Generation
}
