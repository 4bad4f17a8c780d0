package lockmanager

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// ErrRefused is wrapped by every refusal of a command: the state does not allow
// it, and the text says what to do instead.
var ErrRefused = errors.New("refused")

// Order says which command it is and why it was given.
type Order struct {
	ID     string // the same id is carried out once
	Reason string
}

// Command is what an operator may order: Register, SetFlag, Pause, Resume, Unskip,
// LoadComplete, LoadReopen, LoadIgnore or Maintain.
type Command interface{ order() Order }

// Register brings a registration into force. Its Version must be the next one,
// its field ids assigned from the one before.
type Register struct {
	Order
	Spec registry.Table
	// Rekeys says why no row published so far fits the new registration, Reorders why
	// no change does; empty if they do.
	Rekeys, Reorders string
	// Misfit says why the columns of those rows cannot become the registered ones;
	// nil if they can.
	Misfit error
	// Changes tells what it changes about the registration in force.
	Changes []string
}

// restages reports whether what was staged under the registration before is of no use.
func (c Register) restages() bool { return c.Rekeys != "" || c.Reorders != "" || c.Misfit != nil }

// SetFlag chooses the engine of a table, or with Auto has each transaction's be chosen by
// the size of its files; it leaves a pause as it is.
type SetFlag struct {
	Order
	Engine blotterv1.Engine
	Auto   bool
}

// Pause stops grants. With Force the running grant is fenced, too.
type Pause struct {
	Order
	Force bool
}

// ResumeMode says what becomes of the quarantined files.
type ResumeMode string

// The modes of Resume. ResumePlain is refused while a file is quarantined.
const (
	ResumePlain ResumeMode = ""
	ResumeRetry ResumeMode = "retry"
	ResumeSkip  ResumeMode = "skip"
)

// Resume lifts a pause. With AcceptLoss the table goes on from what the lake has, where
// that was lost or set back.
type Resume struct {
	Order
	Mode       ResumeMode
	AcceptLoss bool
}

// LoadComplete seals the open load; one without any file is given up. With Confirm it accepts what the load is held
// for; what is found later is asked about by itself. A load that is not held yet is
// accepted whatever is found. With WithoutOlder it leaves out the load files that an
// earlier load left behind (olderLoads), and from then on all change files that are older
// than the load. With Mended it puts load files that came again into the load from which
// their versions before were given up, also if that is sealed or published, and seals it.
type LoadComplete struct {
	Order
	Confirm      bool
	WithoutOlder bool
	Mended       bool
}

// LoadReopen takes the late load files into the load that they came too late for: beside
// its own files, whose rows stay.
type LoadReopen struct{ Order }

// LoadIgnore refuses the late load files.
type LoadIgnore struct{ Order }

func (o Order) order() Order { return o }

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// AnsweredCommand tells what a command that was carried out was told.
func (s *State) AnsweredCommand(id string) (detail string, ok bool) {
	for _, a := range s.Answered {
		if a.CommandID == id {
			return a.Detail, true
		}
	}
	return "", false
}

func (s *State) decideCommand(cfg Config, c Command) ([]proto.Message, error) {
	if _, ok := s.AnsweredCommand(c.order().ID); ok {
		return nil, nil
	}
	if _, isRegister := c.(Register); !isRegister && !s.Registered() {
		return nil, refuse("table %s is not registered; register it with `blotter apply -f FILE`", s.Table)
	}
	var (
		events       []proto.Message
		name, detail string
		err          error
	)
	switch c := c.(type) {
	case Register:
		name = "apply"
		events, detail, err = s.register(c)
	case SetFlag:
		name = "flag"
		events, detail, err = s.setFlag(c)
	case Pause:
		name = "pause"
		events, detail, err = s.pause(cfg, c)
	case Resume:
		name = "resume"
		events, detail, err = s.resume(c)
	case Unskip:
		name = "unskip"
		events, detail, err = s.unskip(c)
	case LoadComplete:
		name = "load complete"
		events, detail, err = s.loadComplete(c)
	case LoadReopen:
		name = "load reopen"
		events, detail, err = s.loadReopen(c)
	case LoadIgnore:
		name = "load ignore"
		events, detail, err = s.loadIgnore()
	case Maintain:
		name = "table maintain"
		events, detail, err = s.requestMaintenance(c)
	}
	if err != nil {
		return nil, err
	}
	return append(events, &blotterv1.CommandAnswered{
		CommandId: c.order().ID, Command: name, Reason: c.order().Reason, Detail: detail,
	}), nil
}

func engineOf(f registry.Flag) blotterv1.Engine {
	if f == registry.FlagGlue {
		return blotterv1.Engine_ENGINE_GLUE
	}
	return blotterv1.Engine_ENGINE_LAMBDA
}

func (s *State) register(c Register) ([]proto.Message, string, error) {
	if want := s.SpecVersion + 1; c.Spec.Version != want {
		return nil, "", refuse("registration has version %d, the next one is %d", c.Spec.Version, want)
	}
	if err := s.fits(c); err != nil {
		return nil, "", err
	}
	spec, err := c.Spec.JSON()
	if err != nil {
		return nil, "", refuse("%v", err)
	}
	sum := sha256.Sum256(spec)
	engine := engineOf(c.Spec.Flag)
	if c.Spec.Flag == registry.FlagPaused && s.Registered() {
		engine = s.Engine
	}
	events := []proto.Message{&blotterv1.TableRegistered{
		SpecVersion: c.Spec.Version, SpecJson: spec, SpecSha256: hex.EncodeToString(sum[:]), Engine: engine,
		Restage: c.restages(),
	}}
	if c.Spec.Flag == registry.FlagPaused && s.Pause == nil {
		events = append(events, &blotterv1.TablePaused{Reason: pauseOperator, Detail: "registered with flag P"})
	}
	detail := fmt.Sprintf("%s registered, version %d", s.Table, c.Spec.Version)
	if len(c.Changes) > 0 {
		detail += ": " + strings.Join(c.Changes, "; ")
	}
	return events, detail, nil
}

// fits refuses a registration with another key, or with columns that those of the
// table cannot become, once anything was published, and one with another order once
// a change was: also a table without rows remembers what was deleted, by key and place
// in the order, and a change placed otherwise would lose against it unseen.
func (s *State) fits(c Register) error {
	why := cmp.Or(c.Rekeys, c.Reorders)
	if why == "" && c.Misfit != nil {
		why = c.Misfit.Error()
	}
	switch {
	case !c.restages():
		return nil
	case s.LastProcessed != nil && c.Misfit != nil:
		return refuse("%v", c.Misfit)
	case s.LastProcessed != nil && (c.Rekeys != "" || s.hasChanges()):
		return refuse("%s, but files were published otherwise (%d rows are there); have DMS write the table "+
			"into another folder, and register that folder under another name", why, s.Rows)
	case s.Grant != nil:
		return refuse("%s, but files are being processed under the registration in force; "+
			"`blotter pause %s --force`, then apply again", why, s.Table)
	}
	return nil
}

// hasChanges reports whether a change was published, as far as the files that are known
// tell. Mended rows of a load have the place of the load.
func (s *State) hasChanges() bool {
	return len(s.files(func(f *File) bool {
		return f.Kind == dms.KindChange && f.Status == Published && f.Mending.Kind != dms.KindLoad
	})) > 0
}

// setAuto has engines be chosen by the size of files.
func (s *State) setAuto(c SetFlag, paused string) ([]proto.Message, string, error) {
	switch {
	case !s.GlueJob:
		return nil, "", refuse("auto chooses between Lambda and Glue, and the registration of %s names no job of Glue: add job.glue and apply it", s.Table)
	case s.Table.IsTransactions():
		return nil, "", refuse("%s holds transaction files, which are split by Lambda alone", s.Table)
	case s.Auto:
		return nil, s.Table.String() + " has this flag already" + paused, nil
	}
	return []proto.Message{&blotterv1.FlagChanged{Engine: blotterv1.Engine_ENGINE_LAMBDA, Auto: true, Reason: c.Reason}},
		fmt.Sprintf("files of %s are transformed by Lambda or Glue, as their size says, from the next transaction on%s", s.Table, paused), nil
}

func (s *State) setFlag(c SetFlag) ([]proto.Message, string, error) {
	paused := ""
	if s.Pause != nil {
		paused = "; it stays paused, see `blotter resume`"
	}
	if c.Auto {
		return s.setAuto(c, paused)
	}
	if s.Engine == c.Engine && !s.Auto {
		return nil, s.Table.String() + " has this flag already" + paused, nil
	}
	return []proto.Message{&blotterv1.FlagChanged{Engine: c.Engine, Reason: c.Reason}},
		s.Table.String() + " changed its flag" + paused, nil
}

func (s *State) pause(cfg Config, c Pause) ([]proto.Message, string, error) {
	var events []proto.Message
	detail := s.Table.String() + " was paused already"
	if s.Pause == nil || s.Pause.Reason == pauseLate { // the latter is lifted without an operator's word
		events = append(events, &blotterv1.TablePaused{Reason: pauseOperator, Detail: c.Reason})
		detail = s.Table.String() + " is paused"
	}
	if g := s.Grant; g != nil && g.Fencing == "" {
		if c.Force {
			events = append(events, s.stop(cfg, fenceForced)...)
			if s.Table.IsTransactions() {
				detail += fmt.Sprintf("; its transaction %d is stopped", g.Token)
			} else {
				detail += fmt.Sprintf("; its transaction %d is being fenced", g.Token)
			}
		} else {
			detail += fmt.Sprintf("; its transaction %d still ends (--force fences it)", g.Token)
		}
	}
	return events, detail, nil
}

func (s *State) resume(c Resume) ([]proto.Message, string, error) {
	if s.Pause == nil && !c.AcceptLoss {
		return nil, "", refuse("table %s is not paused", s.Table)
	}
	if late := s.late(); len(late) > 0 {
		return nil, "", refuse("load file %s came after its load was sealed; first `blotter load reopen %s` "+
			"(takes it in) or `blotter load ignore %s` (refuses it)", late[0].Object.Key, s.Table, s.Table)
	}
	quarantined := s.files(func(f *File) bool { return f.Status == Quarantined })
	if len(quarantined) > 0 && c.Mode == ResumePlain {
		return nil, "", refuse("%s is quarantined; say --retry (read it again) or --skip (go on without it)",
			quarantined[0].Object.Key)
	}
	if len(quarantined) == 0 && c.Mode != ResumePlain {
		return nil, "", refuse("no file of %s is quarantined, so that there is none to %s; the table is paused (%s): "+
			"if it may go on, say `blotter resume %s`", s.Table, c.Mode, s.Pause.Reason, s.Table)
	}
	var events []proto.Message
	for _, f := range quarantined {
		if c.Mode == ResumeSkip {
			events = append(events, &blotterv1.FileSkipped{FileId: string(f.ID)})
		} else {
			events = append(events, &blotterv1.FileRetried{FileId: string(f.ID)})
		}
	}
	detail := s.Table.String() + " goes on"
	if c.AcceptLoss {
		accepted, said, err := s.acceptLoss(c)
		if err != nil {
			return nil, "", err
		}
		events, detail = append(events, accepted...), detail+said
	}
	if n := len(quarantined); n > 0 {
		detail += fmt.Sprintf("; quarantined files: %d, %s", n, c.Mode)
	}
	if s.Deleted > 0 {
		detail += fmt.Sprintf("; raw objects deleted since it last ran: %d", s.Deleted)
	}
	if s.Pause == nil {
		return events, detail, nil
	}
	return append(events, &blotterv1.TableResumed{Reason: c.Reason}), detail, nil
}

func (s *State) loadComplete(c LoadComplete) ([]proto.Message, string, error) {
	l := s.Load
	switch {
	case l == nil && c.Mended:
		return nil, "", refuse("table %s has no open load: no mended file waits for this word. One that was published as a load of its own "+
			"cannot be put into the load before it any more; have DMS load the table again", s.Table)
	case l == nil:
		return nil, "", refuse("table %s has no open load", s.Table)
	case c.Mended:
		return s.loadMended(c)
	case l.Sealed && l.HeldReason == "":
		return nil, fmt.Sprintf("the load of %s is sealed already", s.Table), nil
	case l.HeldReason != "" && !c.Confirm && (l.Sealed || !c.WithoutOlder):
		return nil, "", refuse("the load of %s is held: %s; %s", s.Table, l.HeldDetail, s.goOnWithLoad(l.HeldReason))
	}
	var events []proto.Message
	if c.Confirm {
		events = append(events, &blotterv1.LoadConfirmed{Generation: max(l.Generation, l.Base+1), Reason: l.HeldReason})
	}
	if l.Sealed {
		return events, fmt.Sprintf("the load of %s is confirmed", s.Table), nil
	}
	sealed := s.seal(sealing{cause: "operator", confirmed: c.Confirm, withoutOlder: c.WithoutOlder})
	detail := fmt.Sprintf("the load of %s is complete", s.Table)
	if c.Confirm && slices.ContainsFunc(s.partOf(s.generations()).doubts(), func(d doubt) bool { return d.reason == HeldPart }) {
		detail += ", and takes the place of the load before it: once it is published, only a reload in DMS brings the rows of that one's other files back"
	}
	if len(sealed) == 0 { // held as before
		detail = fmt.Sprintf("the load of %s is held: %s; %s", s.Table, l.HeldDetail, s.goOnWithLoad(l.HeldReason))
	}
	for _, e := range sealed {
		switch e := e.(type) {
		case *blotterv1.LoadHeld:
			detail = fmt.Sprintf("the load of %s is held: %s; %s", s.Table, e.GetDetail(), s.goOnWithLoad(e.GetReason()))
		case *blotterv1.LoadAbandoned:
			detail = s.tellAbandoned()
		}
	}
	return append(events, sealed...), detail, nil
}

// tellAbandoned says what it means that the open load is given up.
func (s *State) tellAbandoned() string {
	why := "no load file has come"
	if len(s.files(s.ofLoad)) > 0 {
		why = "all its load files were skipped or refused"
	}
	detail := fmt.Sprintf("the load of %s is given up: %s; the table stays as it is", s.Table, why)
	waiting := len(s.files(func(f *File) bool { return f.Kind == dms.KindChange && f.Status == Waiting }))
	switch {
	case waiting > 0 && s.Pause != nil:
		detail += fmt.Sprintf("; change files that go on once it is resumed: %d", waiting)
	case waiting > 0:
		detail += fmt.Sprintf("; change files that go on: %d", waiting)
	}
	return detail
}

// goOnWithLoad says how a load goes on that is held for a reason.
func (s *State) goOnWithLoad(reason string) string {
	refused := fmt.Sprintf("; or refuse the load with `blotter load ignore %s`: the table stays as it is", s.Table)
	if slices.ContainsFunc(s.files(loadCandidate), s.again) { // its rows are in the table
		refused = ""
	}
	switch reason {
	case HeldOlder:
		return fmt.Sprintf("leave them out with `blotter load complete %s --without-older`, or, if they belong to this load, "+
			"take them in with --confirm", s.Table) + refused
	case HeldPart:
		return fmt.Sprintf("put it into the load that it was given up from with `blotter load complete %s --mended`, or, "+
			"if it is the whole of a load, take it for that with --confirm", s.Table) + refused
	}
	return fmt.Sprintf("if that is right, say `blotter load complete %s --confirm`", s.Table) + refused
}

// loadIgnore refuses the load files that came late; without any, the load that is held.
func (s *State) loadIgnore() ([]proto.Message, string, error) {
	late := s.late()
	switch {
	case len(late) > 0:
		return append(refuseFiles(late, "an operator refused the late load file"), s.liftLate()...),
			fmt.Sprintf("%s of %s refused", counted(len(late), "late load file"), s.Table), nil
	case s.Load != nil && s.Load.HeldReason != "":
		return s.refuseLoad()
	}
	return nil, "", refuse("no load file of %s came late, and no load of it is held: there is nothing to refuse", s.Table)
}

// refuseLoad gives up the load that is held, with all its files: the table stays as it is.
func (s *State) refuseLoad() ([]proto.Message, string, error) {
	files, generation := s.files(loadCandidate), s.Load.Base+1
	if s.Load.Sealed {
		files, generation = s.sealedFiles(), s.Load.Generation
	}
	switch {
	case s.Grant != nil:
		return nil, "", refuse("transaction %d of %s still runs; try again when it has ended", s.Grant.Token, s.Table)
	case slices.ContainsFunc(files, s.again):
		return nil, "", refuse("the load of %s is the one in force, which was opened again: its rows are in the table, and cannot be refused. "+
			"Once it is published, have DMS load the table again if they are wrong", s.Table)
	}
	events := append(refuseFiles(files, "an operator refused the load that was held: "+s.Load.HeldReason),
		&blotterv1.LoadAbandoned{Generation: generation, Cause: reasonRefused})
	return events, fmt.Sprintf("the load of %s is refused with its %s: the table stays as it is, and change files go on",
		s.Table, counted(len(files), "file")), nil
}

func refuseFiles(files []*File, why string) (events []proto.Message) {
	for _, f := range files {
		if f.Held {
			events = append(events, &blotterv1.FileReleased{FileId: string(f.ID)})
		}
		events = append(events, &blotterv1.FileIgnored{FileId: string(f.ID), Reason: reasonRefused, Detail: why})
	}
	return events
}

// counted is a number of things: "1 file", "2 files".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// liftLate resumes a table that was paused for its late load files only.
func (s *State) liftLate() []proto.Message {
	hasQuarantined := slices.ContainsFunc(s.files(func(f *File) bool { return true }),
		func(f *File) bool { return f.Status == Quarantined })
	if s.Pause == nil || s.Pause.Reason != pauseLate || hasQuarantined {
		return nil
	}
	return []proto.Message{&blotterv1.TableResumed{Reason: "the late load files are decided"}}
}

// loadGaps names the load files that a set's numbering leaves out.
func loadGaps(files []dms.LoadFile) []string {
	names := make([]dms.Name, 0, len(files))
	for _, f := range files {
		if name, not := dms.ParseName(f.Key, dms.NameRules{}); not == nil {
			names = append(names, name)
		}
	}
	return dms.LoadGaps(names)
}
