package lockmanager

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// registered is the state of a table that was registered with a flag.
func registered(t *testing.T, flag registry.Flag) *State {
	t.Helper()
	s := NewState(testTable)
	mustStep(t, s, Register{Order: Order{ID: "apply"}, Spec: testSpec(1, flag)})
	return s
}

// mustStep gives what an event or a command makes the machine say.
func mustStep(t *testing.T, s *State, in any) []proto.Message {
	t.Helper()
	input := Input{Time: modelEpoch}
	if c, ok := in.(Command); ok {
		input.Command = c
	} else {
		input.Event = in.(proto.Message)
	}
	events, err := s.Step(modelConfig(), input)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	return events
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		command Command
		says    string
	}{
		{"an old registration", Register{Spec: testSpec(1, registry.FlagLambda)}, "version 1, the next one is 2"},
		{"a registration out of turn", Register{Spec: testSpec(3, registry.FlagLambda)}, "version 3, the next one is 2"},
		{"a resume without a pause", Resume{}, "is not paused"},
		{"an end of no load", LoadComplete{}, "has no open load"},
		{"an end of no load, confirmed", LoadComplete{Confirm: true}, "has no open load"},
		{"a mended file of no load", LoadComplete{Mended: true}, "has no open load: no mended file waits for this word. One that was published as a load of its own cannot be put into the load before it any more; have DMS load the table again"},
		{"a reopening without a late file", LoadReopen{}, "no load file of rms.reports came late"},
		{"a refusal without a late file", LoadIgnore{}, "no load file of rms.reports came late"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := registered(t, registry.FlagLambda)
			before := stateText(s)
			events, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: test.command})
			if !errors.Is(err, ErrRefused) || !strings.Contains(fmt.Sprint(err), test.says) || len(events) > 0 {
				t.Errorf("got %v, %v; expected a refusal that says %q", events, err, test.says)
			}
			if stateText(s) != before {
				t.Error("a refused command has changed the state")
			}
		})
	}
}

// A registration with another key is refused once anything was published, also where no
// row is left: the deletes are remembered by key.
func TestRegisterWithAnotherKey(t *testing.T) {
	s := registered(t, registry.FlagLambda)
	c := Register{Order: Order{ID: "again"}, Spec: testSpec(2, registry.FlagLambda), Rekeys: "the key has changed"}
	refused := func(why string) {
		t.Helper()
		if _, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: c}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, expected a refusal that says %q", err, why)
		}
	}
	load := loadFile(1, 0, "a")
	mustStep(t, s, load.classified())
	refused("being processed")
	mustStep(t, s, &blotterv1.FileTransformed{Staged: load.staged(s.Token)})
	if f := s.Files[load.id()]; f.Status != Staged {
		t.Fatalf("the load file is %s", f.Status)
	}
	mustStep(t, s, c)
	if f := s.Files[load.id()]; s.SpecVersion != 2 || f.Status != Granted || f.Staged != nil || f.Token != s.Token {
		t.Errorf("version %d is in force, the load file is %s, staged %v: expected it to be staged anew under version 2",
			s.SpecVersion, f.Status, f.Staged)
	}
	s.Grant, s.LastProcessed = nil, &FileEvent{}
	c.ID, c.Spec = "and again", testSpec(3, registry.FlagLambda)
	refused("another folder")
}

// A registration with another order is refused once a change was published: rows of a
// load fit any order, and so do such that were mended.
func TestRegisterWithAnotherOrder(t *testing.T) {
	published := func(id dms.FileID, kind dms.FileKind, of dms.FileKind) *File {
		return &File{ID: id, Kind: kind, Status: Published, Mending: dms.Mending{Kind: of}}
	}
	for name, test := range map[string]struct {
		files   []*File
		refused bool
	}{
		"a load":                   {[]*File{published("l", dms.KindLoad, 0)}, false},
		"a load and rows of it":    {[]*File{published("l", dms.KindLoad, 0), published("m", dms.KindChange, dms.KindLoad)}, false},
		"changes":                  {[]*File{published("l", dms.KindLoad, 0), published("c", dms.KindChange, 0)}, true},
		"rows of a change, mended": {[]*File{published("m", dms.KindChange, dms.KindChange)}, true},
	} {
		s := registered(t, registry.FlagLambda)
		s.LastProcessed = &FileEvent{}
		for _, f := range test.files {
			s.Files[f.ID] = f
		}
		c := Register{Order: Order{ID: "again"}, Spec: testSpec(2, registry.FlagLambda), Reorders: "the order goes by file instead of change_seq"}
		_, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: c})
		if refused := errors.Is(err, ErrRefused); refused != test.refused || refused && !strings.Contains(err.Error(), "instead of change_seq") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Columns that the table cannot take are registered all the same before anything was
// published, and refused for what is wrong with them afterwards.
func TestRegisterMisfit(t *testing.T) {
	s := registered(t, registry.FlagLambda)
	misfit := &registry.SchemaError{Reasons: []string{"column badge cannot change"}}
	register := Register{Order: Order{ID: "again"}, Spec: testSpec(2, registry.FlagLambda), Misfit: misfit}
	events := mustStep(t, s, register)
	if e, ok := events[0].(*blotterv1.TableRegistered); !ok || !e.GetRestage() || s.SpecVersion != 2 {
		t.Errorf("version %d is in force after %v, expected 2, and what is staged of no use", s.SpecVersion, events)
	}
	s.LastProcessed = &FileEvent{}
	register.ID, register.Spec = "once more", testSpec(3, registry.FlagLambda)
	if _, err := s.Step(modelConfig(), Input{Time: modelEpoch, Command: register}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "badge cannot change") {
		t.Errorf("got %v", err)
	}
}

// A load that brings nothing but content of the one in force is doubted where it loses
// something: changes that came after, or files that it leaves out.
func TestLostByLoad(t *testing.T) {
	file := func(name, etag string, kind dms.FileKind, status Status) *File {
		return &File{ID: dms.FileID(name + etag + string(status)), Kind: kind, Status: status, Generation: 1, Object: dms.Object{Key: name, ETag: etag}}
	}
	read := func(f *File, sum string) *File {
		f.Staged = &StagedFile{InputSHA256: sum}
		return f
	}
	change := file("change", "c", dms.KindChange, Published)
	two := file("LOAD2", "b", dms.KindLoad, Published)
	again := func(name, etag string) *File { return file(name, etag, dms.KindLoad, Staged) }
	const since, left, leftSince = "changes were published since", "1 of its 2 files are not among them", "1 of its 2 files are not among them and changes were published since"
	for name, test := range map[string]struct {
		last  *File
		files []*File
		want  string
	}{
		"copied":                     {change, []*File{again("LOAD2", "b"), again("LOAD1", "a")}, since},
		"without changes since":      {two, []*File{again("LOAD2", "b"), again("LOAD1", "a")}, ""},
		"another content":            {change, []*File{again("LOAD2", "x"), again("LOAD1", "a")}, ""},
		"a file less":                {change, []*File{again("LOAD1", "a")}, leftSince},
		"a file less, without":       {two, []*File{again("LOAD1", "a")}, left},
		"a file less of another":     {change, []*File{again("LOAD1", "x")}, ""},
		"a file more":                {change, []*File{again("LOAD2", "b"), again("LOAD1", "a"), again("LOAD3", "a")}, ""},
		"another name":               {change, []*File{again("LOAD2", "b"), again("LOAD3", "a")}, ""},
		"no tags":                    {change, []*File{again("LOAD2", ""), again("LOAD1", "")}, ""},
		"another tag, the same read": {change, []*File{again("LOAD2", "b"), read(again("LOAD1", "a-2"), "sum")}, since},
		"another read, the same tag": {change, []*File{again("LOAD2", "b"), read(again("LOAD1", "a"), "other")}, ""},
	} {
		s := NewState(testTable)
		s.Generation, s.LastProcessed = 1, &FileEvent{FileID: test.last.ID}
		one := read(file("LOAD1", "a", dms.KindLoad, Published), "sum")
		for _, f := range append([]*File{one, two}, test.files...) {
			s.Files[f.ID] = f
		}
		if got := s.lostBy(test.files); got != test.want {
			t.Errorf("%s: got %q", name, got)
		}
		doubts := s.doubts(test.files, 1000)
		if (len(doubts) == 1 && doubts[0].reason == heldSame) != (test.want != "") {
			t.Errorf("%s: doubted for %v", name, doubts)
		}
	}
}

func TestRegistered(t *testing.T) {
	tests := []struct {
		flag   registry.Flag
		engine blotterv1.Engine
		shown  string
	}{
		{registry.FlagLambda, blotterv1.Engine_ENGINE_LAMBDA, "L"},
		{registry.FlagGlue, blotterv1.Engine_ENGINE_GLUE, "G"},
		{registry.FlagPaused, blotterv1.Engine_ENGINE_LAMBDA, "P"},
	}
	for _, test := range tests {
		s := registered(t, test.flag)
		if s.Engine != test.engine || s.Flag() != test.shown || s.Phase() != "streaming" {
			t.Errorf("flag %s: engine %s, shown %s, %s", test.flag, s.Engine, s.Flag(), s.Phase())
		}
		if s.QuietPeriod != testSpec(1, test.flag).Load.QuietPeriod || len(s.SpecSHA256) != 64 {
			t.Errorf("flag %s: quiet period %s, hash %q", test.flag, s.QuietPeriod, s.SpecSHA256)
		}
	}
	s := registered(t, registry.FlagGlue)
	mustStep(t, s, Register{Order: Order{ID: "pause it"}, Spec: testSpec(2, registry.FlagPaused)})
	if s.Engine != blotterv1.Engine_ENGINE_GLUE || s.Pause == nil {
		t.Errorf("flag P gave engine %s, pause %v; it must leave the engine to return to", s.Engine, s.Pause)
	}
}

// A command is answered once by its id, and the newest ids are remembered.
func TestAnswers(t *testing.T) {
	s := registered(t, registry.FlagLambda)
	for i := range maxAnswers + 6 {
		id := fmt.Sprint(i)
		mustStep(t, s, SetFlag{Order: Order{ID: id}, Engine: blotterv1.Engine_ENGINE_GLUE})
		if detail, ok := s.AnsweredCommand(id); !ok || !strings.Contains(detail, "flag") {
			t.Fatalf("command %s was told %q (%v)", id, detail, ok)
		}
	}
	if len(s.Answered) != maxAnswers {
		t.Errorf("%d answers are remembered, expected %d", len(s.Answered), maxAnswers)
	}
	if _, ok := s.AnsweredCommand("6"); !ok {
		t.Error("a new answer is forgotten")
	}
	if _, ok := s.AnsweredCommand("5"); ok {
		t.Error("an old answer is remembered")
	}
}

// A step says a bounded number of events; the next one, a tick at the latest,
// says the rest.
func TestLongSteps(t *testing.T) {
	const files = 1000
	s := registered(t, registry.FlagLambda)
	mustStep(t, s, loadFile(1, 0, "a").classified())
	for minute := range files {
		f := changeFile(minute, minute)
		// Folded by hand, so that no step before has held them.
		s.Evolve(modelEpoch, &blotterv1.FileAccepted{File: f.ref})
	}
	held := 0
	for range 10 {
		events, err := s.Step(modelConfig(), Input{Time: modelEpoch})
		if err != nil || len(events) > 2*maxStepEvents {
			t.Fatalf("a tick says %d events, %v", len(events), err)
		}
		held += len(events)
	}
	if held != files {
		t.Errorf("%d files are held, expected %d", held, files)
	}
}

// An order that lies in the state as it was stored leads to the same decisions.
func TestEncodeState(t *testing.T) {
	s := registered(t, registry.FlagGlue)
	mustStep(t, s, loadFile(1, 0, "a").classified())
	mustStep(t, s, Pause{Order: Order{ID: "pause", Reason: "a look"}, Force: true})
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeState(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(back.Files) != 0 || back.Files == nil {
		t.Errorf("decoded with the files %v, expected none and no nil", back.Files)
	}
	back.Files = s.Files
	s.TakeChanged()
	if !reflect.DeepEqual(s, back) {
		t.Errorf("decoded %+v, expected %+v", back, s)
	}
	if _, err := DecodeState([]byte("{")); err == nil {
		t.Error("half a state is decoded")
	}
}

// Live keeps what a later decision may need.
func TestLive(t *testing.T) {
	s := NewState(testTable)
	s.Generation = 2
	s.Grant = &Grant{Token: 5, Files: []dms.FileID{"granted"}}
	tests := []struct {
		name string
		file File
		live bool
	}{
		{"waits", File{Kind: dms.KindChange, Status: Waiting}, true},
		{"granted", File{Kind: dms.KindChange, Status: Granted}, true},
		{"staged", File{Kind: dms.KindLoad, Status: Staged}, true},
		{"quarantined", File{Kind: dms.KindChange, Status: Quarantined}, true},
		{"a published change", File{Kind: dms.KindChange, Status: Published, Generation: 2}, false},
		{"a load file in force", File{Kind: dms.KindLoad, Status: Published, Generation: 2}, true},
		{"a replaced load file", File{Kind: dms.KindLoad, Status: Published, Generation: 1}, false},
		{"skipped", File{Kind: dms.KindChange, Status: Skipped}, false},
		{"skipped while its grant is not over", File{ID: "granted", Kind: dms.KindChange, Status: Skipped}, true},
		{"skipped of the open load", File{Kind: dms.KindLoad, Status: Skipped}, true},
		{"skipped of the load in force", File{Kind: dms.KindLoad, Status: Skipped, Generation: 2}, true},
		{"skipped of a replaced load", File{Kind: dms.KindLoad, Status: Skipped, Generation: 1}, false},
		{"an older version", File{Kind: dms.KindLoad, Status: Ignored, Reason: ReasonSuperseded, Generation: 2}, true},
		{"of a replaced load", File{Kind: dms.KindLoad, Status: Ignored, Reason: ReasonSuperseded, Superseded: true, Generation: 2}, false},
		{"refused", File{Kind: dms.KindLoad, Status: Ignored, Reason: reasonRefused, Generation: 2}, false},
	}
	for _, test := range tests {
		if got := s.Live(&test.file); got != test.live {
			t.Errorf("%s: live %v, expected %v", test.name, got, test.live)
		}
	}
}

// TakeChanged names each file that must be written, once.
func TestTakeChanged(t *testing.T) {
	s := registered(t, registry.FlagLambda)
	late, early := changeFile(20, 0), changeFile(10, 0)
	mustStep(t, s, late.classified())
	mustStep(t, s, early.classified())
	changed := s.TakeChanged()
	if len(changed) != 2 || changed[0].ID != early.id() || changed[1].ID != late.id() {
		t.Errorf("changed %v, expected both files by order", changed)
	}
	if again := s.TakeChanged(); len(again) > 0 {
		t.Errorf("changed %v the second time", again)
	}
}

func TestConfig(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	err := Config{}.Validate()
	for _, name := range []string{"GrantTimeout", "BatchFiles", "BatchBytes", "LoadFiles", "GlueLoadFiles", "MaxExpired", "Tick", "CacheTables"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the zero configuration: %v; expected a fault for %s", err, name)
		}
	}
}

// BenchmarkBacklog: one more change file for a paused table with many that wait.
func BenchmarkBacklog(b *testing.B) {
	for _, waiting := range []int{100, 10_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			s := NewState(testTable)
			s.SpecVersion, s.Pause = 1, &PauseRecord{Reason: pauseOperator}
			for i := range waiting {
				f := fileOf(newRaw("20260228-010000000.csv", 0, fmt.Sprint(i)).ref)
				f.Held = true
				s.Files[f.ID] = f
			}
			more := changeFile(5, -1).classified()
			for b.Loop() {
				if _, err := s.Step(DefaultConfig(), Input{Time: modelEpoch, Event: more}); err != nil {
					b.Fatal(err)
				}
				delete(s.Files, dms.FileID(more.GetFile().GetFileId()))
			}
		})
	}
}

// A quiet period counts from the last load file, and not from before the shell
// began to look.
func TestQuietPeriod(t *testing.T) {
	s := registered(t, registry.FlagLambda)
	mustStep(t, s, loadFile(1, 0, "a").classified())
	quiet := s.QuietPeriod
	for _, tick := range []struct {
		after, since time.Duration
		sealed       bool
	}{
		{quiet - time.Second, 0, false},
		{2 * quiet, quiet + time.Second, false},
		{2 * quiet, -1, false}, // nobody says since when
		{2*quiet + time.Second, quiet + time.Second, true},
	} {
		in := Input{Time: modelEpoch.Add(tick.after)}
		if tick.since >= 0 {
			in.Since = modelEpoch.Add(tick.since)
		}
		if _, err := s.Step(DefaultConfig(), in); err != nil {
			t.Fatal(err)
		}
		if s.Load.Sealed != tick.sealed {
			t.Errorf("after %s, looked at since %s: sealed %v", tick.after, tick.since, s.Load.Sealed)
		}
	}
}

// A confirmation is for what the load was held for; one without a reason is for all.
func TestConfirmed(t *testing.T) {
	for reason, all := range map[string]bool{heldGap: false, "": true} {
		l := &Load{}
		l.confirm(reason)
		if !l.accepts(heldGap) || l.accepts(heldSame) != all || l.accepts(heldShrunk) != all {
			t.Errorf("confirmed for %q: %+v", reason, l)
		}
	}
}
