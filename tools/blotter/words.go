package main

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// words says in one line what an event tells: the file or token first. It holds
// no value of a row, since events hold none.
func words(event proto.Message) string {
	for _, say := range []func(proto.Message) string{sayObject, sayFile, sayGrant, sayTable, sayLoad, sayMaintenance, sayRepair} {
		if s := say(event); s != "" {
			return s
		}
	}
	return ""
}

// parts joins what is not empty.
func parts(s ...string) string {
	var said []string
	for _, p := range s {
		if p != "" {
			said = append(said, p)
		}
	}
	return strings.Join(said, ", ")
}

func token(n uint64) string { return fmt.Sprintf("token %d", n) }

func object(id string, o *blotterv1.ObjectRef) string {
	return shortID(id) + " " + o.GetKey()
}

func file(f *blotterv1.FileRef) string {
	return shortID(f.GetFileId()) + " " + path.Base(f.GetObject().GetKey()) + part(f.GetPart())
}

// part names the table whose rows of a transaction file are meant.
func part(p *blotterv1.PartOf) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf(" (its rows of %s.%s)", p.GetSchema(), p.GetTable())
}

// sayObject tells of what ingest-router and classifier say.
func sayObject(event proto.Message) string {
	switch e := event.(type) {
	case *blotterv1.ObjectArrived:
		said := fmt.Sprintf("%s, %d bytes, by %s", object(e.GetFileId(), e.GetObject())+part(e.GetPart()), e.GetObject().GetSize(), e.GetSource())
		if m := e.GetMending(); m != nil {
			rows, dropped := "", ""
			if m.GetRows() != "" {
				rows = "rows " + m.GetRows() + " mended"
			}
			if m.GetDropped() != "" {
				dropped = "rows " + m.GetDropped() + " dropped"
			}
			said = parts(said, "of "+shortID(m.GetFileId()), rows, dropped, e.GetReason())
		}
		return said
	case *blotterv1.ObjectIgnored:
		return parts(object(e.GetFileId(), e.GetObject())+part(e.GetPart()), e.GetReason(), e.GetDetail())
	case *blotterv1.ObjectHeld:
		return parts(object(e.GetFileId(), e.GetObject())+part(e.GetPart()), e.GetReason(), e.GetDetail())
	case *blotterv1.ObjectDeleted:
		by := "by request"
		if e.GetReason() == "expired" {
			by = "by a lifecycle rule"
		}
		return parts(strings.TrimSpace(object(e.GetFileId(), e.GetObject())), by)
	case *blotterv1.DeliveryRepeated:
		return fmt.Sprintf("%s, delivery %d", object(e.GetFileId(), e.GetObject()), e.GetDelivery())
	case *blotterv1.ListingCompleted:
		s := count(int(e.GetObjects()), "object")
		if e.GetComplete() {
			s += ", which are all there are"
		}
		return parts(s, e.GetReason())
	case *blotterv1.FileClassified:
		return fmt.Sprintf("%s is a %s file", file(e.GetFile()), kind(e.GetFile().GetKind()))
	case *blotterv1.FileRejected:
		return parts(object(e.GetFileId(), e.GetObject()), e.GetReason(), e.GetDetail())
	case *blotterv1.ExecutionFailed:
		return parts(strings.TrimSpace(object(e.GetFileId(), e.GetObject())), e.GetStatus(), e.GetCode(), e.GetExecution())
	case *blotterv1.SourceTaskChanged:
		return parts(e.GetState(), e.GetEventId(), e.GetDetail())
	case *blotterv1.ListingClassified:
		return "listing " + e.GetListingId()
	}
	return ""
}

func kind(k blotterv1.FileKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "FILE_KIND_"))
}

// sayFile tells of the way of one file.
func sayFile(event proto.Message) string {
	switch e := event.(type) {
	case *blotterv1.FileAccepted:
		late := ""
		if e.GetLate() {
			late = "after its load was sealed"
		}
		return parts(file(e.GetFile()), late)
	case *blotterv1.FileHeld:
		return parts(shortID(e.GetFileId()), "its table is "+e.GetReason())
	case *blotterv1.FileReleased:
		return shortID(e.GetFileId())
	case *blotterv1.FileIgnored:
		return parts(shortID(e.GetFileId()), e.GetReason(), e.GetDetail())
	case *blotterv1.FileSkipped:
		return shortID(e.GetFileId()) + ", a gap from now on"
	case *blotterv1.FileRetried:
		return shortID(e.GetFileId())
	case *blotterv1.FileStaged:
		return staged(e.GetStaged())
	case *blotterv1.TransactionSplit:
		return parts(file(e.GetFile()), count(len(e.GetParts()), "table")+tablesOf(e.GetParts()))
	case *blotterv1.TransformStarted:
		return parts(shortID(e.GetFileId()), token(e.GetToken()), e.GetRun())
	case *blotterv1.TransformRunEnded:
		return parts(shortID(e.GetFileId()), token(e.GetToken()), e.GetRun(), e.GetState(), e.GetCode(),
			fmt.Sprintf("%.0f s", e.GetExecutionSeconds()), dpuSeconds(e.GetDpuSeconds()))
	case *blotterv1.FileTransformed:
		return staged(e.GetStaged())
	case *blotterv1.TransformFailed:
		return parts(shortID(e.GetFileId()), token(e.GetToken()), failedRun(e), failure(e.GetFailure()))
	case *blotterv1.RowsRejected:
		return parts(shortID(e.GetFileId()), fmt.Sprintf("%s set aside", rowsAre(e.GetRows())), "report "+e.GetReportKey())
	case *blotterv1.FileQuarantined:
		report := "report " + e.GetReportKey()
		if e.GetReportError() != "" {
			report = e.GetReportError()
		}
		return parts(shortID(e.GetFileId()), failure(e.GetFailure()), report)
	}
	return ""
}

// dpuSeconds tells a file's share of a run's cost, which may be a small one.
func dpuSeconds(n float64) string {
	if n < 9.95 {
		return fmt.Sprintf("%.1f DPU-seconds", n)
	}
	return fmt.Sprintf("%.0f DPU-seconds", n)
}

// failedRun tells that a failure is not known to be the file's.
func failedRun(e *blotterv1.TransformFailed) string {
	if !e.GetOfRun() {
		return ""
	}
	return "its run failed, over which of several files is not known"
}

// maxTables bounds the tables of a transaction file that are named in a line.
const maxTables = 5

// tablesOf names the tables of a transaction file and counts their rows.
func tablesOf(list []*blotterv1.TransactionPart) string {
	var named []string
	for _, p := range list[:min(len(list), maxTables)] {
		named = append(named, fmt.Sprintf("%s.%s %d", p.GetSchema(), p.GetTable(), p.GetRows()))
	}
	if more := len(list) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	if len(named) == 0 {
		return ""
	}
	return " (" + strings.Join(named, ", ") + ")"
}

func staged(s *blotterv1.StagedFile) string {
	return parts(shortID(s.GetFileId()), token(s.GetToken()), counts(s.GetCounts()))
}

func counts(c *blotterv1.RowCounts) string {
	s := count(int(c.GetRowsRead()), "row")
	for _, n := range []struct {
		n    int64
		what string
	}{{c.GetDeletes(), "deleted"}, {c.GetDuplicatesDropped(), "repeated"}, {c.GetSuperseded(), "older than the table's"}, {c.GetRejected(), "set aside"}} {
		if n.n > 0 {
			s += fmt.Sprintf(", %d %s", n.n, n.what)
		}
	}
	return s
}

// failure is a failure in one line: code, what, where.
func failure(f *blotterv1.Failure) string {
	if f == nil {
		return ""
	}
	s := f.GetCode() + ": " + f.GetMessage()
	if f.GetRow() > 0 {
		s += fmt.Sprintf(" (row %d)", f.GetRow())
	}
	return s
}

// suspects tells of the files over which a grant of several failed.
func suspects(ids []string) string {
	switch len(ids) {
	case 0:
		return ""
	case 1:
		return shortID(ids[0]) + " goes by itself after those before it"
	}
	return fmt.Sprintf("%d files go one by one", len(ids))
}

// kept tells how many load files stay staged though their grant came to nothing.
func kept(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return count(len(ids), "file") + " staged all the same"
}

// sayGrant tells of the transactions of a table.
func sayGrant(event proto.Message) string {
	switch e := event.(type) {
	case *blotterv1.LockGranted:
		return parts(token(e.GetToken()), count(len(e.GetFiles()), "file"), "until "+e.GetDeadline().AsTime().Format(time.TimeOnly), routed(e))
	case *blotterv1.PublishRequested:
		mode := "merge"
		if e.GetMode() == blotterv1.PublishMode_PUBLISH_MODE_REPLACE {
			mode = "replace the table"
		}
		return parts(token(e.GetToken()), mode, count(len(e.GetParts()), "file"))
	case *blotterv1.FenceRequested:
		next := ""
		if e.GetNextEngine() != blotterv1.Engine_ENGINE_UNSPECIFIED {
			next = "next by " + engineName(e.GetNextEngine())
		}
		return parts(token(e.GetToken()), e.GetReason(), suspects(e.GetSuspectFileIds()), failure(e.GetFailure()), next)
	case *blotterv1.GrantFenced:
		return parts(token(e.GetToken()), "nothing was published")
	case *blotterv1.FilesPublished:
		return parts(token(e.GetToken()), count(len(e.GetFiles()), "file"), publishedRows(e.GetFiles()), e.GetStrategy(),
			count(int(e.GetTableRows()), "row")+" now", fmt.Sprintf("snapshot %d", e.GetSnapshotId()))
	case *blotterv1.PublishFailed:
		return parts(token(e.GetToken()), shortID(e.GetFileId()), failure(e.GetFailure()))
	case *blotterv1.LockReleased:
		return parts(token(e.GetToken()), e.GetOutcome(), e.GetStep(), kept(e.GetKeptFileIds()))
	}
	return ""
}

// publishedRows sums up what the files of a commit hold.
func publishedRows(files []*blotterv1.PublishedFile) string {
	sum := &blotterv1.RowCounts{}
	for _, f := range files {
		sum.RowsRead += f.GetCounts().GetRowsRead()
		sum.Deletes += f.GetCounts().GetDeletes()
		sum.DuplicatesDropped += f.GetCounts().GetDuplicatesDropped()
		sum.Rejected += f.GetCounts().GetRejected()
		sum.Superseded += f.GetCounts().GetSuperseded()
	}
	return counts(sum)
}

// sayTable tells of registrations, pauses and commands.
func sayTable(event proto.Message) string {
	switch e := event.(type) {
	case *blotterv1.TableRegistered:
		return fmt.Sprintf("registration version %d, sha256 %.12s", e.GetSpecVersion(), e.GetSpecSha256())
	case *blotterv1.TablePaused:
		if e.GetFile() != nil {
			return parts(file(e.GetFile()), e.GetReason(), failure(e.GetFailure()))
		}
		return parts(e.GetReason(), e.GetDetail())
	case *blotterv1.DeletionNoted:
		return parts(shortID(e.GetFileId()), e.GetObjectKey()+" was deleted")
	case *blotterv1.SignalNoted:
		return e.GetDetail()
	case *blotterv1.TableResumed:
		return e.GetReason()
	case *blotterv1.LossAccepted:
		return parts(fmt.Sprintf("of what was committed up to token %d", e.GetCommittedToken()), e.GetReason())
	case *blotterv1.FlagChanged:
		if e.GetAuto() {
			return parts("by the size of files", e.GetReason())
		}
		return parts(engineName(e.GetEngine()), e.GetReason())
	case *blotterv1.CommandAnswered:
		return parts(e.GetCommand(), e.GetReason()) + ": " + e.GetDetail()
	}
	return ""
}

func engineName(e blotterv1.Engine) string {
	return strings.ToLower(strings.TrimPrefix(e.String(), "ENGINE_"))
}

// routed says why a transaction's engine was chosen, where the size of its files did.
func routed(e *blotterv1.LockGranted) string {
	r := e.GetRoute()
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%s (%s: some %d MiB, %d rows, %d s at most)", engineName(e.GetEngine()), r.GetReason(), r.GetBytes()>>20, r.GetRows(), r.GetSeconds())
}

// sayLoad tells of full loads.
func sayLoad(event proto.Message) string {
	generation := func(n uint64) string { return fmt.Sprintf("generation %d", n) }
	switch e := event.(type) {
	case *blotterv1.LoadOpened:
		return parts(generation(e.GetGeneration()), "by "+e.GetCause())
	case *blotterv1.LoadSealed:
		older, mended := "", ""
		if e.GetLeavesOlder() {
			older = "without what is older"
		}
		if n := len(e.GetReplacedFileIds()); n > 0 {
			mended = "in the place of " + count(n, "version") + " given up"
		}
		return parts(generation(e.GetGeneration()), "by "+e.GetCause(), count(len(e.GetFileIds()), "file"), older, mended)
	case *blotterv1.LoadHeld:
		return parts(generation(e.GetGeneration()), e.GetReason(), e.GetDetail())
	case *blotterv1.LoadConfirmed:
		return parts(generation(e.GetGeneration()), e.GetReason())
	case *blotterv1.LoadAbandoned:
		return parts(generation(e.GetGeneration()), abandonedFor(e.GetCause()))
	case *blotterv1.LoadMended:
		return parts(generation(e.GetGeneration()), count(len(e.GetFileIds()), "file")+" put into it", e.GetReason())
	case *blotterv1.LoadReopened:
		return parts(generation(e.GetGeneration()), e.GetReason())
	}
	return ""
}

// abandonedFor says why a load is given up.
func abandonedFor(cause string) string {
	switch cause {
	case "":
		return ""
	case "skipped":
		return "all its files were skipped or refused"
	case "no_file":
		return "no load file came for too long"
	case "refused":
		return "an operator refused it"
	}
	return "without a load file, by " + cause
}

// sayRepair tells of what an operator had mended, and of what he had removed.
func sayRepair(event proto.Message) string {
	switch e := event.(type) {
	case *blotterv1.FindingRepaired:
		return parts(e.GetKind()+": "+strings.TrimSpace(shortID(e.GetFileId())+" "+e.GetObjectKey()), e.GetFound(), e.GetDone(), e.GetReason())
	case *blotterv1.LogTrimmed:
		removed := fmt.Sprintf("sequences %d to %d removed", e.GetFirstBefore(), e.GetFirstKept()-1)
		if e.GetFirstBefore() == e.GetFirstKept() {
			removed = "found to begin at " + strconv.FormatUint(e.GetFirstKept(), 10)
		}
		return parts(removed, fmt.Sprintf("archived up to %d with root %x", e.GetTreeSize(), e.GetTreeRoot()), e.GetReason())
	}
	return ""
}
