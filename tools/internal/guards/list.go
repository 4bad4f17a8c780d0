package guards

// Guard is one guard and what proves that it is needed.
type Guard struct {
	Name    string
	Against string // what would come to pass without it
	// File holds the guard, and Old the code of it, once; New is what stands there
	// without it.
	File, Old, New string
	// Test of Package shows it; Says is a part of what it says when it fails.
	Package, Test, Says string
	// AWS: the test needs AWS, or a stand-in for it, where the usual environment says.
	AWS bool
}

// List gives all guards: those of the control store and of lock-manager, of the log and
// its archive, of the lake, of the ways in and out, and of the control store in DynamoDB.
func List() []Guard {
	var all []Guard
	for _, some := range [][]Guard{control(), losing(), deciding(), generations(), logging(), archiving(), lake(), edges(), onAWS()} {
		all = append(all, some...)
	}
	return all
}

const (
	lockManager = "services/lock-manager"
	eventLog    = "pkg/eventlog"
	theArchive  = "pkg/archive"
	theLake     = "pkg/lake"
)

func control() []Guard {
	return []Guard{
		{
			Name: "conditional write", Against: "a replica that overwrites what another decided meanwhile",
			File: "pkg/control/sqlite/commit.go", Old: "name = ?2 AND version = ?3\n", New: "name = ?2 AND ?3 > 0\n",
			Package: lockManager, Test: "TestACopyThatIsOldDecidesNothing", Says: "ends with version 2, and 4 is to be said next",
		},
		{
			Name: "an outbox joins its log", Against: "events that are said into a log which was set back",
			File: "pkg/eventlog/outbox.go", Old: "	if next.GetVersion() <= c.version+1 {\n		return true, nil", New: "	if next.GetVersion() > 0 {\n		return true, nil",
			Package: eventLog, Test: "TestAnOutboxJoinsItsLog", Says: "what does not follow version 5 is taken",
		},
		{
			Name: "a token tells of its own files", Against: "a publication of another system, found in a lake that was kept, taken for that of now",
			File: theLake + "/publish.go", Old: "	if !slices.EqualFunc(r.Files, req.Parts, same) {", New: "	if false && !slices.EqualFunc(r.Files, req.Parts, same) {",
			Package: theLake, Test: "TestMergeStrategies", Says: "the same token for another file gave <nil>",
		},
		{
			Name: "nothing over an unsaid outbox", Against: "a decision that overwrites events which the log lacks",
			File: "pkg/control/sqlite/commit.go", Old: "\n\t\t\tAND NOT EXISTS (SELECT 1 FROM outbox WHERE table_id = tables.id) RETURNING", New: " RETURNING",
			Package: "pkg/control/sqlite", Test: "TestContract/OutboxRule", Says: "Commit over a full outbox",
		},
		{
			Name: "outbox", Against: "a decision that is in the state and, after a crash, never in the log",
			File: lockManager + "/table.go", Old: "outbox[i], c.Outbox = envelope, append(c.Outbox, b)", New: "outbox[i], _ = envelope, b",
			Package: lockManager, Test: "TestOneLookSaysWhatACrashLeftUnsaid", Says: "a pause was decided, the log says",
		},
		{
			Name: "sweeper", Against: "an outbox that nobody says, since nothing else happens to its table",
			File: lockManager + "/service.go", Old: "for _, id := range unflushed {\n\t\tdue[id] = struct{}{}\n\t}", New: "_ = unflushed",
			Package: lockManager, Test: "TestOneLookSaysWhatACrashLeftUnsaid", Says: "a pause was decided, the log says",
		},
		{
			Name: "said before the next decision", Against: "a table that stands still behind the outbox of a process that died",
			File: lockManager + "/table.go", Old: "if len(item.Outbox) > 0 {", New: "if false {",
			Package: lockManager, Test: "TestWhatWasDecidedIsSaidFirst", Says: "what another process left unsaid is in the way",
		},
		{
			Name: "an old copy is asked again", Against: "a result that a replica drops because its copy of the table is older than the grant",
			File: lockManager + "/table.go", Old: "return s.sameVersion(ctx, t.id, t.version)", New: "return nil",
			Package: lockManager, Test: "TestACopyThatIsOldIsAskedAgain", Says: "a staged file was forgotten by an old copy",
		},
		{
			Name: "state and files of one version", Against: "a grant of files that nobody knows, read while another replica ends it",
			File: lockManager + "/table.go", Old: "err = s.sameVersion(ctx, id, item.Version)", New: "err = nil",
			Package: lockManager, Test: "TestAStateAndFilesOfTwoVersions", Says: "state and files are of two versions",
		},
	}
}

func losing() []Guard {
	return []Guard{
		{
			Name: "a commit follows those before it", Against: "changes to a table whose catalog was lost or set back, which cover the loss up",
			File: theLake + "/property.go", Old: "	from, has := s.setBackFrom(tbl, turn), s.carries(tbl)", New: "	from, has := s.setBackFrom(tbl, turn)*0, s.carries(tbl)",
			Package: theLake, Test: "TestATableThatWasSetBackTakesNoChanges", Says: "an older table: publish gave <nil>",
		},
		{
			Name: "a fence covers up no loss", Against: "changes to a table that was set back, once a fence has brought it past what it lacks",
			File: theLake + "/fence.go", Old: "	from, to, summary := state.setBackFrom(tbl, turn), uint64(0)", New: "	from, to, summary := state.setBackFrom(tbl, turn)*0, uint64(0)",
			Package: theLake, Test: "TestATableThatWasSetBackTakesNoChanges", Says: "a fence of a table that was set back gave",
		},
		{
			Name: "a copy of before a loss", Against: "an older copy of a table of which its token does not tell what it has: files would be in it twice, or not at all",
			File: lockManager + "/loss.go", Old: "return one.Ambiguous && one.covers(token)", New: "return false && one.covers(token)",
			Package: lockManager, Test: "TestACopyOfBeforeALoss", Says: "it gives <nil>",
		},
		{
			Name: "a delete that comes again", Against: "a row that a rollback brought back, and whose delete the table remembers",
			File: theLake + "/tombstone.go", Old: " && !w.at(i, from.pos, from.row) {", New: " {",
			Package: theLake, Test: "TestADeleteComesAgainAfterARollback", Says: "TableRows:2",
		},
	}
}

func deciding() []Guard {
	return []Guard{
		{
			Name: "a token dies in the lake first", Against: "a second grant while the first may still be published",
			File: lockManager + "/decide.go", Old: "if s.Table.IsTransactions() {\n\t\treturn s.ended(", New: "if true {\n\t\treturn s.ended(",
			Package: lockManager, Test: "TestScenarios/deadline", Says: "publish true\nLockReleased      1, deadline",
		},
		{
			Name: "one transaction at a time", Against: "two grants of one table",
			File: lockManager + "/next.go", Old: "if s.Grant != nil || s.Pause != nil || !s.Registered() {", New: "if s.Pause != nil || !s.Registered() {",
			Package: lockManager, Test: "TestScenarios/changes", Says: "FileAccepted      20260228-050000000.csv@v1\nLockGranted       2",
		},
		{
			Name: "a paused table is granted nothing", Against: "files that pass the one that an operator must look at",
			File: lockManager + "/next.go", Old: "if s.Grant != nil || s.Pause != nil || !s.Registered() {", New: "if s.Grant != nil || !s.Registered() {",
			Package: lockManager, Test: "TestScenarios/pause", Says: "LockReleased      1, published\nFileReleased      20260228-020000000.csv@v1",
		},
		{
			Name: "a load stops changes", Against: "a change that is published between a load's opening and its replacement, and lost by it",
			File: lockManager + "/next.go", Old: "if s.Load == nil || g == nil ||", New: "if true || s.Load == nil || g == nil ||",
			Package: lockManager, Test: "TestScenarios/load_stops_changes", Says: "PublishRequested  1: merge",
		},
		{
			Name: "changes wait for a load", Against: "changes that are granted while their table loads",
			File: lockManager + "/next.go", Old: "if s.Load != nil {\n\t\treturn s.grantLoad(cfg, now)\n\t}", New: "",
			Package: lockManager, Test: "TestScenarios/load", Says: "LockGranted       2: 20260228-020000000.csv@v1",
		},
		{
			Name: "lowest position first", Against: "changes that are published before earlier ones which wait",
			File: lockManager + "/state.go", Old: "slices.SortFunc(out, compareFiles)", New: "slices.SortFunc(out, func(a, b *File) int { return -compareFiles(a, b) })",
			Package: lockManager, Test: "TestScenarios/changes", Says: "LockGranted       2: 20260228-050000000.csv@v1",
		},
		{
			Name: "answers of other tokens", Against: "the result of a grant that was stopped, taken for that of the running one",
			File: lockManager + "/decide.go", Old: "return s.Grant != nil && s.Grant.Token == token && s.Grant.Fencing == \"\"", New: "return s.Grant != nil && s.Grant.Fencing == \"\"",
			Package: lockManager, Test: "TestScenarios/changes", Says: "FileStaged        20260228-030000000.csv@v1, token 9",
		},
		{
			Name: "a file is accepted once", Against: "a file that is delivered twice, and published twice",
			File: lockManager + "/decide.go", Old: "if _, known := s.Files[f.ID]; known {\n\t\treturn nil\n\t}\n\tif f.Kind == dms.KindLoad {", New: "if f.Kind == dms.KindLoad {",
			Package: lockManager, Test: "TestScenarios/changes", Says: "the second time: [file",
		},
	}
}

func generations() []Guard {
	return []Guard{
		{
			Name: "generation rule", Against: "load files of two full loads that are folded into one",
			File: "pkg/dms/generation.go", Old: "if len(loads) == 0 || keys[f.Key] && !f.Rejoins {", New: "if len(loads) == 0 {",
			Package: lockManager, Test: "TestScenarios/generations", Says: "LoadSealed        generation 1",
		},
		{
			Name: "a mended file is asked about", Against: "one mended file that takes the place of the other files of its load, and of the changes behind them",
			File: lockManager + "/rejoin.go", Old: "if p.mended == \"\" || p.lacks == \"\" {", New: "if true || p.mended == \"\" || p.lacks == \"\" {",
			Package: lockManager, Test: "TestScenarios/mended_published", Says: "LoadSealed        generation 2, listing",
		},
		{
			Name: "a word is forgotten", Against: "a file of a reload that is kept in the load before, since it was taken for a mended one",
			File: lockManager + "/rejoin.go", Old: "if f.Rejoins && f.Generation == 0 && s.ofLoad(f) {\n\t\t\ts.touch(f)", New: "if false {\n\t\t\ts.touch(f)",
			Package: lockManager, Test: "TestScenarios/mended_gap", Says: "LOAD00000003.csv@b, token 4\nLockReleased      4, staged\nrefused: load file dms/rms/reports/LOAD00000003.csv",
		},
		{
			Name: "no rows go unasked", Against: "rows that readers see, gone once their load is open again and older versions of its files came",
			File: lockManager + "/reopen.go", Old: "if apart != nil {\n\t\treturn refuse(", New: "if false {\n\t\treturn refuse(",
			Package: lockManager, Test: "TestScenarios/reopen_divided", Says: "refused: no load file of rms.reports came late",
		},
		{
			Name: "a gap stays told", Against: "a file that the table lacks, told no more since a newer load was abandoned",
			File: lockManager + "/evolve.go", Old: "case f.Generation == 0, !published && l.Generation != s.Generation &&", New: "case f.Generation == 0, !published ||",
			Package: lockManager, Test: "TestScenarios/reopened_gaps", Says: "LOAD00000001.csv@a skipped superseded",
		},
		{
			Name: "generations in order of time", Against: "generations that hang on the order of arrival",
			File: "pkg/dms/generation.go", Old: "return cmp.Or(a.LastModified.Compare(b.LastModified), cmp.Compare(a.Order, b.Order), cmp.Compare(a.FileID, b.FileID))", New: "return cmp.Compare(0, 0)",
			Package: "pkg/dms", Test: "TestGenerations/three_loads_of_one_file", Says: "got [[L1@3] [L1@1] [L1@2]]",
		},
		{
			Name: "changes of a replaced generation", Against: "changes from before a full load that are merged over it",
			File: lockManager + "/mending.go", Old: "return (!takesAll(s.Generation) || s.LeavesOlder) && f.bound().Before(s.FirstModified)", New: "return false",
			Package: lockManager, Test: "TestScenarios/generations", Says: "LockGranted       3: 20260228-010000000.csv@v1",
		},
		{
			Name: "late load files", Against: "a load file that comes after its load was published, and is lost or replaces the table",
			File: lockManager + "/loads.go", Old: "!s.beforeOpenLoad(f), s.ofNextLoad(f):", New: "!s.beforeOpenLoad(f), s.ofNextLoad(f), true:",
			Package: lockManager, Test: "TestScenarios/late", Says: "FileAccepted      LOAD00000002.csv@a\nFileStaged",
		},
	}
}

func logging() []Guard {
	return []Guard{
		{
			Name: "publish fence of an outbox", Against: "a replica that says again what another has said since it looked",
			File: eventLog + "/publish.go", Old: ",\n\t\tjetstream.WithExpectLastSequenceForSubject(c.to, c.subject))", New: ")",
			Package: eventLog, Test: "TestAStaleOutboxPublishesNothing", Says: "events, want 7",
		},
		{
			Name: "publish fence of a service without state", Against: "the same, of what is named by file and token",
			File: eventLog + "/publish.go", Old: ",\n\t\tjetstream.WithExpectLastSequenceForSubject(c.to, c.subject))", New: ")",
			Package: eventLog, Test: "TestKnownIDsDoNotHideAnotherReplica", Says: "and again at",
		},
		{
			Name: "look behind", Against: "an event that is said again once the server has forgotten its id",
			File: eventLog + "/publish.go", Old: "if found {\n", New: "if found && seq == 0 {\n",
			Package: eventLog, Test: "TestPublishOnceBeyondTheWindow", Says: "published again at",
		},
		{
			Name: "place of an outbox", Against: "an outbox that was said long ago, said again",
			File: eventLog + "/outbox.go", Old: "if !beyond(outbox[0], c.version, c.index) {",
			New:     "if c.version == outbox[0].GetVersion() && c.index == outbox[0].GetIndex() {",
			Package: eventLog, Test: "TestAnOutboxThatWasSaidIsNotSaidAgain", Says: "an outbox of two events stands in the log as",
		},
		{
			Name: "wrong sequence on one server", Against: "a replica that came second and fails instead of looking again",
			File: eventLog + "/errors.go", Old: "jetstream.JSErrCodeStreamWrongLastSequence, ", New: "",
			Package: eventLog, Test: "TestConflictsHaveTheirCodes", Says: "code 10071 is",
		},
		{
			Name: "wrong sequence on three servers", Against: "the same on a replicated stream, which has another code",
			File: eventLog + "/errors.go", Old: "jetstream.JSErrCodeStreamWrongLastSequenceConstant, ", New: "",
			Package: eventLog, Test: "TestConflictsHaveTheirCodes", Says: "code 10164 is",
		},
		{
			Name: "acknowledged when handled", Against: "an event that is lost with the process that handled it",
			File: eventLog + "/lane.go", Old: "\terr = p.retry(ctx, \"handle \"",
			New:     "\tif err := p.acknowledge(ctx, it, rec.Envelope.GetId()); err != nil {\n\t\treturn err\n\t}\n\terr = p.retry(ctx, \"handle \"",
			Package: eventLog, Test: "TestWhatWasNotHandledIsNotAcknowledged", Says: "counts as handled: acknowledged up to 1",
		},
	}
}

// The snapshot that pin in publish.go asserts is not among them: the library asserts it
// too with each snapshot that it makes, of today, so that no test fails without pin.
func lake() []Guard {
	return []Guard{
		{
			Name: "token check", Against: "a curator that wakes with a grant which ended long ago, and publishes it",
			File: theLake + "/publish.go", Old: "case s.token < token:\n", New: "case s.token < token, s.token > token, s.last.Fenced():\n",
			Package: theLake, Test: "TestAStalledGrantPublishesNothing/before_it_read", Says: "a grant that was fenced was answered with",
		},
		{
			Name: "empty-snapshot fence", Against: "a grant that was stopped, and lands when its curator wakes",
			File: theLake + "/fence.go", Old: "if _, err := tx.Commit(ctx); err != nil {", New: "if err := ctx.Err(); err != nil {",
			Package: theLake, Test: "TestAStalledGrantPublishesNothing/fenced", Says: "a grant that was fenced was answered with",
		},
		{
			Name: "a token publishes once", Against: "rows that stand there twice when a publication is asked for again",
			File: theLake + "/publish.go", Old: "case s.token < token:\n", New: "case s.token < token, s.token == token && !s.last.Fenced():\n",
			Package: theLake, Test: "TestAGrantIsPublishedOnce", Says: "the same publication again gave",
		},
		{
			Name: "order of positions", Against: "a late change that overwrites what was committed after it",
			File: theLake + "/window.go", Old: "\treturn !is\n", New: "\treturn false\n",
			Package: theLake, Test: "TestLateChangesFindTheirPlace", Says: "1|older|",
		},
		{
			Name: "remembered deletes", Against: "a late change that brings back a row which was deleted after it",
			File: theLake + "/tombstone.go", Old: "if t.MaxKey < low || t.MinKey > high {", New: "if t.MaxKey >= low || t.MinKey > high {",
			Package: theLake, Test: "TestLateChangesFindTheirPlace", Says: "2|gone since|",
		},
	}
}

func edges() []Guard {
	return []Guard{
		{
			Name: "an object is noted before it is told", Against: "an object that a crash has nobody tell of",
			File: "services/ingest-router/router.go", Old: "= control.ObjectPending, v.table, after", New: "= control.ObjectTold, v.table, after",
			Package: "services/ingest-router", Test: "TestACrashLeavesAPendingRow/publish", Says: "the log says [], expected [ObjectArrived]",
		},
		{
			Name: "the manifest that was announced", Against: "staged output that is not what its transform said",
			File: "pkg/transform/manifest_read.go", Old: "if got := hashBytes(data); sha256Hex != \"\" && got != sha256Hex {", New: "if got := hashBytes(data); false {",
			Package: theLake, Test: "TestAudit/manifest_changed", Says: "got <nil>, want code",
		},
		{
			Name: "the staged files that the manifest names", Against: "rows that were changed between their transform and their publication",
			File: theLake + "/audit.go", Old: "if err := transform.VerifySHA256(ctx, l.staging, f.StagedParquet); err != nil {\n\t\treturn f.auditFault(err)\n\t}\n\tr, err := transform.OpenStaged", New: "r, err := transform.OpenStaged",
			Package: theLake, Test: "TestAudit/hash", Says: "got <nil>, want code",
		},
		{
			Name: "a fence finds what was said", Against: "a publication that is said a second time by the fence that finds it",
			File: "services/curator/service.go", Old: "if a.early {", New: "if false {",
			Package: "services/curator", Test: "TestAPublicationSaidBeforeItsFenceIsNotSaidAgain", Says: "it says 2 events, expected the one at sequence 1",
		},
	}
}
