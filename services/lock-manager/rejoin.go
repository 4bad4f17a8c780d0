package lockmanager

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Whoever mends one file of a load writes that one alone. By the rule of generations it
// begins a load, which would take the place of the load's other files and of the changes
// behind them. So it is asked about, and an operator may put it into the load that it
// was given up from: it rejoins that.

// part is what the newest load files are to the load before them.
type part struct {
	// files are those whose versions before were given up, others those of the load
	// before; ofInForce tells that it is the one in force.
	files, others []dms.FileID
	ofInForce     bool
	// mended is a key of the newest load whose version before was given up, again one
	// whose version was not, lacks one of the load before that has not come again,
	// undecided one that is quarantined in either; empty if there is none.
	mended, again, lacks, undecided string
}

// partOf looks at the newest of these loads. The load before it is the newest one that
// has a file which was not given up, or begins with a new version of one: what came
// between, and was given up whole, was mended badly.
func (s *State) partOf(loads [][]dms.LoadFile) part {
	if len(loads) == 0 {
		return part{}
	}
	before, base := s.loadBefore(loads)
	p := part{ofInForce: base < 0}
	for _, f := range before {
		p.others = append(p.others, f.ID)
	}
	for i, load := range loads[base+1:] {
		last := base+1+i == len(loads)-1
		came := make(map[string]*File, len(load))
		for _, f := range load {
			is := s.Files[f.FileID]
			came[f.Key] = is
			switch was, known := before[f.Key]; {
			case known && wasGivenUp(was):
				p.files = append(p.files, f.FileID)
				if is.Status == Quarantined || was.Status == Quarantined {
					p.undecided = f.Key
				}
				if last && p.mended == "" {
					p.mended = f.Key
				}
			case known && p.again == "":
				p.again = f.Key
			}
		}
		if last {
			p.lacks = lacking(before, came, p.again != "")
		}
		if p.again != "" && !last {
			p, before = part{}, came // a load of its own, if all of it was given up
		} else {
			maps.Copy(before, came)
		}
	}
	return p
}

// loadBefore gives the files of the load before the newest of these, by key, and its
// index; that of the load in force is -1.
func (s *State) loadBefore(loads [][]dms.LoadFile) (files map[string]*File, index int) {
	files = map[string]*File{}
	if !s.openAgain() { // else it is among these
		files = s.inForce()
	}
	index = -1
	for i := len(loads) - 2; i >= 0; i-- {
		if slices.ContainsFunc(loads[i], func(f dms.LoadFile) bool { return loadCandidate(s.Files[f.FileID]) && !wasGivenUp(s.Files[f.FileID]) }) {
			index = i
			break
		}
	}
	if index < 0 && len(files) == 0 {
		index = 0
	}
	if index >= 0 {
		clear(files)
		for _, f := range loads[index] {
			files[f.Key] = s.Files[f.FileID]
		}
	}
	return files, index
}

// wasGivenUp reports whether the load goes on without a file of it, or will.
func wasGivenUp(f *File) bool { return f.Status == Skipped || f.Status == Quarantined }

// lacking gives the lowest key of a load that has not come again. One that was given up
// counts only where nothing else came but such as were: a reload may well be shorter.
func lacking(before, came map[string]*File, reload bool) string {
	lacks := ""
	for key, f := range before {
		if _, again := came[key]; !again && (!reload || !wasGivenUp(f)) && (lacks == "" || key < lacks) {
			lacks = key
		}
	}
	return lacks
}

// doubts gives what an operator must say before the newest load files are a load.
func (p part) doubts() []doubt {
	if p.mended == "" || p.lacks == "" {
		return nil
	}
	if p.again != "" {
		return []doubt{{heldMixed, fmt.Sprintf("of the load before, files were written again, such as %s, and others were not, such as %s; "+
			"the version of %s there was given up. As a load of their own they take the place of all files of that load, and of the "+
			"change files before them. Reload the table in DMS, or, "+orCopy("the other load files", "too")+", or confirm that this is all",
			p.again, p.lacks, p.mended)}}
	}
	return []doubt{{HeldPart, fmt.Sprintf("%s was written again after its version in the load before was given up, and load files of that "+
		"one were not, such as %s: as a load of its own it would take their place, and that of the change files before it", p.mended, p.lacks)}}
}

// orCopy says how load files come again without DMS, and when that is right: they are a
// load of their own then, and what was changed before that is not part of it.
func orCopy(files, how string) string {
	return fmt.Sprintf("if no change file has come since, copy %s over themselves%s (they come anew)", files, strings.TrimRight(", "+how, ", "))
}

// loadMended puts the newest load files into the load that they were given up from, and
// seals that.
func (s *State) loadMended(c LoadComplete) ([]proto.Message, string, error) {
	var events []proto.Message
	after := s
	reopen := func(generation uint64) {
		e := &blotterv1.LoadReopened{Generation: generation, Reason: c.Reason}
		events, after = append(events, e), after.foresee(e)
	}
	if s.Load.Sealed {
		reopen(s.Load.Generation)
	}
	p := after.partOf(after.generations())
	if p.mended == "" && p.again == "" && s.Load.HeldReason == "" && s.Load.Sealed && s.rejoined() {
		return nil, fmt.Sprintf("the load of %s is sealed already, mended files among its own", s.Table), nil
	}
	if err := s.refusesMendedLoad(after, p); err != nil {
		return nil, "", err
	}
	if p.ofInForce {
		reopen(s.Generation)
	}
	mended := &blotterv1.LoadMended{Reason: c.Reason}
	for _, id := range p.files {
		mended.FileIds = append(mended.FileIds, string(id))
	}
	after = after.foresee(mended)
	loads := after.generations()
	if !wholeIn(loads[len(loads)-1], p) {
		return nil, "", refuse("versions of the files of the load that %s was given up from came after it was sealed, and divide it: nobody "+
			"can tell which of them %s belongs to. Reload the table in DMS, or, "+orCopy("the other load files", "too"), p.mended, p.mended)
	}
	mended.Generation = after.Load.Base + uint64(len(loads))
	sealed := after.seal(sealing{cause: "operator"})
	return append(append(events, mended), sealed...), s.tellMended(p, sealed), nil
}

// wholeIn reports whether a load has all that is put together. It has not where the load
// in force is divided otherwise than when it was sealed: by what came too late for that.
func wholeIn(load []dms.LoadFile, p part) bool {
	for _, id := range slices.Concat(p.files, p.others) {
		if !slices.ContainsFunc(load, func(f dms.LoadFile) bool { return f.FileID == id }) {
			return false
		}
	}
	return true
}

// tellMended says what became of the load that mended files were put into.
func (s *State) tellMended(p part, sealed []proto.Message) string {
	detail := fmt.Sprintf("%s is put into the load of %s that it was given up from", p.mended, s.Table)
	for _, e := range sealed {
		switch e := e.(type) {
		case *blotterv1.LoadHeld:
			return detail + fmt.Sprintf(", which is held: %s; %s", e.GetDetail(), s.goOnWithLoad(e.GetReason()))
		case *blotterv1.LoadSealed:
			detail += ", which is complete"
		}
	}
	if p.ofInForce {
		detail += ": the table is replaced by all of its files, that one among them, and by the changes that came after it"
	}
	return detail
}

// refusesMendedLoad says why the newest load files cannot be put into the load before
// them; after is the state with its load open.
func (s *State) refusesMendedLoad(after *State, p part) error {
	switch late := s.late(); {
	case p.mended == "" && p.again == "" && s.Load.HeldReason != "" && s.rejoined():
		return refuse("the load of %s is held: %s; %s", s.Table, s.Load.HeldDetail, s.goOnWithLoad(s.Load.HeldReason))
	case p.mended == "" && p.again == "", after.LoadLacksFiles():
		return refuse("no load file of %s has come again whose version before was given up (skipped, or quarantined)", s.Table)
	case p.again != "":
		return refuse("load file %s of %s came again, too, and its version before was not given up: the files are a load of their own. "+
			"Once all of it has come, say `blotter load complete %s`", p.again, s.Table, s.Table)
	case s.Load.Sealed && s.Grant != nil:
		return refuse("transaction %d of %s still runs; try again when it has ended", s.Grant.Token, s.Table)
	case (p.ofInForce || s.Load.Sealed) && len(late) > 0:
		return refuse("load file %s came after its load was sealed; first refuse it with `blotter load ignore %s`. If it belongs to the load, "+
			"copy it over itself after that: it comes anew, and is put there, too", late[0].Object.Key, s.Table)
	case p.undecided != "":
		return refuse("load file %s of %s is quarantined; first say what becomes of it with `blotter resume %s --skip`, or --retry",
			p.undecided, s.Table, s.Table)
	}
	return nil
}

// rejoined reports whether mended files were put into the open load.
func (s *State) rejoined() bool {
	return len(s.files(func(f *File) bool { return f.Rejoins && f.Generation == 0 && s.ofLoad(f) })) > 0
}

// foresee gives the state after events about its load, and leaves the state as it is.
func (s *State) foresee(events ...proto.Message) *State {
	c := *s
	c.changed = nil
	var at time.Time
	if s.Load != nil {
		load := *s.Load
		c.Load, at = &load, load.LastFile
	}
	c.Files = make(map[dms.FileID]*File, len(s.Files))
	for id, f := range s.Files {
		file := *f
		c.Files[id] = &file
	}
	for _, e := range events {
		c.Evolve(at, e)
	}
	return &c
}

// evolveMended has load files belong to the load before them.
func (s *State) evolveMended(e *blotterv1.LoadMended) {
	s.Load.HeldReason, s.Load.HeldDetail = "", ""
	for _, id := range e.GetFileIds() {
		s.with(id, func(f *File) { f.Rejoins = true })
	}
}

// forgetRejoining takes back what was said of load files before another one came, but
// for those that were published since: with it, they may be a load of their own.
func (s *State) forgetRejoining() {
	for _, f := range s.Files {
		if f.Rejoins && f.Generation == 0 && s.ofLoad(f) {
			s.touch(f).Rejoins = false
		}
	}
}
