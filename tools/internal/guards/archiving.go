package guards

func archiving() []Guard {
	return []Guard{
		{
			Name: "hash of a span's file", Against: "bytes of the archive that are not those which were signed",
			File: theArchive + "/store.go", Old: "if sha256.Sum256(b) != c.Span.SHA256 {", New: "if sha256.Sum256(b); false {",
			Package: theArchive, Test: "TestTheWrongLeafIsNamed", Says: "is changed (log",
		},
		{
			Name: "root of the tree", Against: "a checkpoint that is signed over another tree than its events give",
			File: theArchive + "/walk.go", Old: "case !bytes.Equal(root, c.Root[:]):", New: "case false && !bytes.Equal(root, c.Root[:]):",
			Package: theArchive, Test: "TestWrongWriter", Says: "root: <nil>",
		},
		{
			Name: "columns of a row", Against: "columns for people that say something else than the event beside them",
			File: theArchive + "/walk.go", Old: "!want.equal(&r)", New: "want.Sequence != r.Sequence",
			Package: theArchive, Test: "TestWrongWriter", Says: "columns: <nil>",
		},
		{
			Name: "spelling of a checkpoint", Against: "a byte of a signature that can be changed unseen",
			File: theArchive + "/checkpoint.go", Old: " || !bytes.Equal(signed, spell(n))", New: "",
			Package: theArchive, Test: "TestSpellings", Says: "is taken for",
		},
		{
			Name: "kept checkpoints", Against: "a history that the owner of the key signs anew",
			File: theArchive + "/verify.go", Old: "if !bytes.Equal(root, c.Root[:]) {", New: "if len(root) != len(c.Root) {",
			Package: theArchive, Test: "TestRollback", Says: "held to a checkpoint: <nil>",
		},
		{
			Name: "gap asked for once more", Against: "an event that is signed as a gap, since a read has passed over it",
			File: theArchive + "/writer.go", Old: "if _, err := log.At(ctx, seq); !errors.Is(err, eventlog.ErrNoEvent) {",
			New:     "if _, err := log.At(ctx, seq); err != nil && !errors.Is(err, eventlog.ErrNoEvent) {",
			Package: theArchive, Test: "TestAGapIsAskedForOnceMore", Says: "is archived as a gap",
		},
		{
			Name: "archive of this log", Against: "an archive that goes on with another log than it is of",
			File: theArchive + "/writer.go", Old: "if !bytes.Equal((Leaf{Raw: event}).Hash(), archived) {", New: "if len(archived) != len((Leaf{Raw: event}).Hash()) {",
			Package: theArchive, Test: "TestAnotherLog", Says: "changed: <nil>",
		},
		{
			Name: "span that nobody signed", Against: "a file that somebody laid into the archive, signed without a look at the log",
			File: theArchive + "/writer.go", Old: "!same.equal(&r)", New: "same.Sequence != r.Sequence",
			Package: theArchive, Test: "TestForeignSpanIsRefused", Says: "forged columns: <nil>",
		},
		{
			Name: "nothing trimmed that is not handled", Against: "an event that a service never sees",
			File: eventLog + "/trim.go", Old: "case next.Sequence <= until:", New: "case next.Sequence == 0:",
			Package: eventLog, Test: "TestTrim", Says: "events that were not seen: <nil>",
		},
		{
			Name: "archive before the log", Against: "a log that is read as whole although its beginning is nowhere",
			File: eventLog + "/archive.go", Old: "if archived < last {", New: "if archived == 0 {",
			Package: eventLog, Test: "TestTrim", Says: "an event is read although one before it is nowhere",
		},
	}
}
