package lockmanager

import (
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

var update = flag.Bool("update", false, "write what the scenarios say now into their files")

// TestScenarios runs the scripts in testdata. A block of a script is lines of
// inputs, then ----, then what was said; -update writes the latter anew. Every
// input is given twice: the second time must say nothing.
//
//	table NAME                          begins anew with another table of rms
//	file NAME@VERSION MINUTES [BYTES]   a raw object, modified so long after noon
//	part NAME@VERSION                   what reports has of a transaction file, as NAME@VERSION#reports
//	rejects FILE ROWS                   so many rows of it are set aside
//	mended NAME FILE[/TOKEN] ROWS|- [DROPPED]  rows of it that an operator mended
//	deliver FILE...                     FileClassified
//	transformed FILE... | failed FILE   of the running grant; /TOKEN names another
//	published [ROWS] | publish-failed [FILE] | fenced [TOKEN]
//	deleted FILE... | expired FILE...   ObjectDeleted; /N names another deletion of it
//	listing | tick DURATION
//	register L|G|P|auto|job | flag L|G|auto | pause | force | resume [retry|skip] | unskip FILE...
//	complete [confirm|without-older|mended] | reopen | ignore
//	maintain | maintained STEP [more | DURATION until the next] | maintenance-failed
//	state
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := newScenario(t).play(string(script))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(script) {
				t.Errorf("%s says now:\n%s", path, got)
			}
		})
	}
}

// scenario is a script while it is played.
type scenario struct {
	t         *testing.T
	state     *State
	now       time.Time
	files     *world // for the names of files only
	requested *blotterv1.PublishRequested
	commands  int
	out       strings.Builder
}

func newScenario(t *testing.T) *scenario {
	return &scenario{t: t, state: NewState(testTable), now: modelEpoch, files: newWorld(modelConfig(), map[string]int{})}
}

// play gives the script with what is said now in the place of what stood there.
func (sc *scenario) play(script string) string {
	for i, block := range strings.Split(strings.TrimSpace(script), "\n\n") {
		if i > 0 {
			sc.out.WriteString("\n")
		}
		inputs, _, played := strings.Cut(block, "\n----")
		sc.out.WriteString(inputs + "\n")
		if !played {
			continue // a remark
		}
		sc.out.WriteString("----\n")
		for _, line := range strings.Split(inputs, "\n") {
			if words := strings.Fields(line); len(words) > 0 && words[0] != "#" {
				sc.input(words[0], words[1:])
			}
		}
	}
	return sc.out.String()
}

func (sc *scenario) input(verb string, args []string) {
	switch verb {
	case "table":
		sc.state = NewState(dms.TableID{DB: "rms", Table: args[0]})
	case "file":
		sc.declare(args)
	case "part":
		sc.part(args[0])
	case "rejects":
		sc.file(args[0]).rejected = int64(sc.number(args[1]))
	case "mended":
		sc.mended(args)
	case "deliver":
		for _, name := range args {
			sc.event(sc.file(name).classified())
		}
	case "transformed":
		for _, arg := range args {
			name, token := sc.token(arg)
			sc.event(&blotterv1.FileTransformed{Staged: sc.file(name).staged(token)})
		}
	case "failed":
		name, token := sc.token(args[0])
		f := sc.file(name)
		ofRun, code := slices.Contains(args[1:], "of-run"), "csv.column_count"
		if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "lambda.") }); i > 0 {
			code = args[i]
		}
		sc.event(&blotterv1.TransformFailed{FileId: string(f.id()), Token: token, Failure: f.failure(code), OfRun: ofRun})
	case "publish-failed":
		if len(args) == 0 {
			sc.event(&blotterv1.PublishFailed{Token: sc.state.Token, Failure: &blotterv1.Failure{Code: "lake.incompatible", Message: "the parts cannot be one table"}})
			return
		}
		if args[0] == "damaged" {
			sc.event(&blotterv1.PublishFailed{Token: sc.state.Token, Failure: &blotterv1.Failure{Code: wire.FailureDamaged, Message: "a manifest list is gone"}})
			return
		}
		name, token := sc.token(args[0])
		f := sc.file(name)
		sc.event(&blotterv1.PublishFailed{FileId: string(f.id()), Token: token, Failure: f.failure("audit.counts")})
	case "published":
		sc.published(args)
	case "fenced":
		token := sc.state.Token
		if len(args) > 0 {
			token = sc.number(args[0])
		}
		sc.event(&blotterv1.GrantFenced{Token: token, SnapshotId: 7})
	case "deleted", "expired":
		for _, arg := range args {
			name, n, _ := strings.Cut(arg, "/")
			sc.event(sc.file(name).deleted(verb, sc.number("0"+n)))
		}
	case "maintained":
		sc.maintained(args)
	case "maintenance-failed":
		sc.event(&blotterv1.MaintenanceFailed{Token: sc.state.Token, Failure: &blotterv1.Failure{Code: "maintenance.unavailable", Message: "the lake is away"}})
	case "listing":
		sc.event(&blotterv1.ListingClassified{ListingId: "listing", Complete: true})
	case "tick":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			sc.t.Fatal(err)
		}
		sc.now = sc.now.Add(d)
		sc.apply(Input{Since: modelEpoch})
	case "state":
		sc.tell()
	default:
		sc.command(verb, strings.Join(args, " "))
	}
}

func (sc *scenario) declare(args []string) {
	name, version, _ := strings.Cut(args[0], "@")
	f := newRaw(name, int(sc.number(args[1])), version, op{'L', 1, 1, 1}, op{'L', 2, 2, 2})
	if len(args) > 2 {
		f.ref.Object.Size = int64(sc.number(args[2]))
	}
	sc.files.files[string(f.id())] = f
}

// part declares what the test's table has of a transaction file.
func (sc *scenario) part(name string) {
	whole := wire.FileOf(sc.file(name).ref)
	parsed, _ := dms.ParseName(path.Base(whole.Object.Key), dms.NameRules{Place: dms.InTransactions})
	part := whole
	part.Part = dms.Part{FileID: whole.ID, Schema: "rms", Table: "reports"}
	part.ID, part.Kind = part.Part.ID(), dms.KindChange
	part.Order = dms.NewFileOrder(parsed, part.Object.LastModified, part.ID)
	sc.files.files[string(part.ID)] = &rawFile{ref: wire.FileRef(part), name: name + "#reports", ops: sc.file(name).ops}
}

func (sc *scenario) number(text string) uint64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		sc.t.Fatal(err)
	}
	return uint64(n)
}

func (sc *scenario) file(name string) *rawFile {
	for _, f := range sc.files.files {
		if f.name == name {
			return f
		}
	}
	sc.t.Fatalf("no file %s", name)
	return nil
}

// token divides FILE/TOKEN; without a token it is the newest.
func (sc *scenario) token(arg string) (string, uint64) {
	name, token, ok := strings.Cut(arg, "/")
	if !ok {
		return name, sc.state.Token
	}
	return name, sc.number(token)
}

// maintained answers the newest step.
func (sc *scenario) maintained(args []string) {
	e := &blotterv1.TableMaintained{Token: sc.state.Token, Step: args[0], SnapshotId: 11}
	if len(args) > 1 {
		if e.More = args[1] == "more"; !e.More {
			d, err := time.ParseDuration(args[1])
			if err != nil {
				sc.t.Fatal(err)
			}
			e.Next = timestamppb.New(sc.now.Add(d))
		}
	}
	sc.event(e)
}

// published answers the newest request.
func (sc *scenario) published(args []string) {
	e := &blotterv1.FilesPublished{Token: sc.requested.GetToken(), SnapshotId: 9, TableRows: int64(2 * len(sc.requested.GetParts()))}
	if len(args) > 0 {
		e.TableRows = int64(sc.number(args[0]))
	}
	for _, p := range sc.requested.GetParts() {
		e.Files = append(e.Files, &blotterv1.PublishedFile{FileId: p.GetFile().GetFileId(), Counts: p.GetStaged().GetCounts()})
	}
	sc.event(e)
}

func (sc *scenario) command(verb, arg string) {
	sc.commands++
	o := Order{ID: fmt.Sprint("command-", sc.commands), Reason: "the script"}
	engine := blotterv1.Engine_ENGINE_LAMBDA
	if arg == "G" {
		engine = blotterv1.Engine_ENGINE_GLUE
	}
	auto := arg == registry.RouteAuto
	commands := map[string]Command{
		"register": Register{Order: o, Spec: sc.spec(arg)},
		"flag":     SetFlag{Order: o, Engine: engine, Auto: auto},
		"pause":    Pause{Order: o},
		"force":    Pause{Order: o, Force: true},
		"resume":   Resume{Order: o, Mode: ResumeMode(arg)},
		"complete": LoadComplete{Order: o, Confirm: arg == "confirm", WithoutOlder: arg == "without-older", Mended: arg == "mended"},
		"reopen":   LoadReopen{o},
		"ignore":   LoadIgnore{o},
		"maintain": Maintain{o},
		"unskip":   sc.unskip(o, verb, arg),
	}
	c, ok := commands[verb]
	if !ok {
		sc.t.Fatalf("unknown input %s", verb)
	}
	sc.apply(Input{Command: c})
}

// spec registers a table by its flag; with route auto, and "job" for the job that it needs.
func (sc *scenario) spec(arg string) registry.Table {
	if arg != registry.RouteAuto && arg != "job" {
		return specOf(sc.state.Table, sc.state.SpecVersion+1, registry.Flag(arg))
	}
	spec := specOf(sc.state.Table, sc.state.SpecVersion+1, registry.FlagLambda)
	spec.Job.Glue = "blotter-job"
	if arg == registry.RouteAuto {
		spec.Route = arg
	}
	return spec
}

func (sc *scenario) unskip(o Order, verb, names string) Unskip {
	c := Unskip{Order: o}
	if verb == "unskip" {
		for _, name := range strings.Fields(names) {
			c.Files = append(c.Files, sc.file(name).id())
		}
	}
	return c
}

func (sc *scenario) event(e proto.Message) { sc.apply(Input{Event: e}) }

func (sc *scenario) apply(in Input) {
	in.Time = sc.now
	before := stateText(sc.state)
	events, err := sc.state.Step(modelConfig(), in)
	if err != nil {
		fmt.Fprintln(&sc.out, err)
		if stateText(sc.state) != before {
			sc.t.Errorf("%v: the state has changed", err)
		}
		return
	}
	for _, e := range events {
		fmt.Fprintln(&sc.out, sc.files.line(said{sc.now, e}))
		if request, ok := e.(*blotterv1.PublishRequested); ok {
			sc.requested = request
		}
	}
	if again, err := sc.state.Step(modelConfig(), in); len(again) > 0 || err != nil {
		sc.t.Errorf("%T%T the second time: %v, %v", in.Event, in.Command, again, err)
	}
}

// tell tells the state in a few lines.
func (sc *scenario) tell() {
	s := sc.state
	aside := ""
	if s.Rejected != 0 {
		aside = fmt.Sprintf(", %d set aside", s.Rejected)
	}
	fmt.Fprintf(&sc.out, "%s %s generation %d token %d rows %d%s\n", s.Flag(), s.Phase(), s.Generation, s.Token, s.Rows, aside)
	if m := s.Maintenance; m.Failure != nil {
		fmt.Fprintf(&sc.out, "  maintenance failed %d time(s) with %s, again at %s\n", m.Failures, m.Failure.Code, m.Next.Format("15:04"))
	}
	for _, f := range s.files(func(*File) bool { return true }) {
		marks := ""
		for _, mark := range []struct {
			on   bool
			text string
		}{
			{f.Held, " held"}, {f.Late, " late"}, {f.Superseded, " superseded"}, {f.Replaced, " replaced"}, {f.Suspect, " suspect"}, {f.Status == Skipped && s.InForce(f), " (a gap)"},
			{len(f.Parts) > 0, fmt.Sprintf(" into %d parts", len(f.Parts))},
		} {
			if mark.on {
				marks += mark.text
			}
		}
		fmt.Fprintf(&sc.out, "  %s %s%s, attempts %d\n", sc.files.name(string(f.ID)), f.Status, marks, f.Attempts)
	}
	for _, last := range []struct {
		what  string
		event *FileEvent
	}{{"last processed", s.LastProcessed}, {"last failed", s.LastFailed}} {
		if last.event != nil {
			text := fmt.Sprintf("  %s: %s %s", last.what, sc.files.name(string(last.event.FileID)), last.event.Code)
			fmt.Fprintln(&sc.out, strings.TrimRight(text, " "))
		}
	}
}
