package lockmanager

import (
	"fmt"
	"strings"

	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// line tells one event in a few words, files by their names.
func (w *world) line(s said) string {
	name := string(s.event.ProtoReflect().Descriptor().Name())
	return strings.TrimRight(fmt.Sprintf("%-17s %s", name, w.words(s)), " ")
}

func (w *world) words(s said) string {
	switch e := s.event.(type) {
	case *blotterv1.TableRegistered:
		return fmt.Sprintf("version %d, %s", e.GetSpecVersion(), e.GetEngine())
	case *blotterv1.FileAccepted:
		if e.GetLate() {
			return w.name(e.GetFile().GetFileId()) + ", late"
		}
		return w.name(e.GetFile().GetFileId()) + w.mending(e.GetFile().GetMending())
	case *blotterv1.FileHeld:
		return w.name(e.GetFileId()) + ", " + e.GetReason()
	case *blotterv1.FileIgnored:
		said := w.name(e.GetFileId()) + ", " + e.GetReason()
		if f, ok := w.files[e.GetFileId()]; ok && f.ref.GetMending() != nil && e.GetReason() == reasonRefused {
			said += ": " + w.named(e.GetDetail())
		}
		return said
	case *blotterv1.DeletionNoted:
		return e.GetObjectKey()
	case interface{ GetFileId() string }: // FileReleased, FileSkipped, FileRetried
		return w.name(e.GetFileId())
	case *blotterv1.LockGranted:
		var names []string
		for _, f := range e.GetFiles() {
			names = append(names, w.name(f.GetFileId()))
		}
		route := ""
		if r := e.GetRoute(); r != nil {
			route = fmt.Sprintf("; %s, %s: %d bytes, %d rows, %d s, all %d", e.GetEngine(), r.GetReason(), r.GetBytes(), r.GetRows(), r.GetSeconds(), r.GetAllBytes())
		}
		return fmt.Sprintf("%d: %s; generation %d, until %s, transform %v, publish %v%s", e.GetToken(), strings.Join(names, " "),
			e.GetGeneration(), e.GetDeadline().AsTime().Format("15:04"), e.GetTransform(), e.GetPublish(), route)
	case *blotterv1.FileStaged:
		return fmt.Sprintf("%s, token %d", w.name(e.GetStaged().GetFileId()), e.GetStaged().GetToken())
	case *blotterv1.TransactionSplit:
		var parts []string
		for _, p := range e.GetParts() {
			parts = append(parts, fmt.Sprintf("%s.%s %d", p.GetSchema(), p.GetTable(), p.GetRows()))
		}
		return w.name(e.GetFile().GetFileId()) + ": " + strings.Join(parts, ", ")
	case *blotterv1.PublishRequested:
		var parts []string
		for _, p := range e.GetParts() {
			parts = append(parts, fmt.Sprintf("%s/%d", w.name(p.GetFile().GetFileId()), p.GetStaged().GetToken()))
		}
		mode := strings.ToLower(strings.TrimPrefix(e.GetMode().String(), "PUBLISH_MODE_"))
		return fmt.Sprintf("%d: %s generation %d: %s", e.GetToken(), mode, e.GetGeneration(), strings.Join(parts, " "))
	case *blotterv1.FenceRequested:
		next := ""
		if e.GetNextEngine() != 0 {
			next = fmt.Sprintf("; %s, next %s", e.GetFailure().GetCode(), e.GetNextEngine())
		}
		return strings.TrimRight(fmt.Sprintf("%d, %s %s", e.GetToken(), e.GetReason(), w.names(e.GetSuspectFileIds())), " ") + next
	case *blotterv1.MaintenanceGranted:
		return fmt.Sprintf("%d: %s, until %s", e.GetToken(), e.GetReason(), e.GetDeadline().AsTime().Format("15:04"))
	case *blotterv1.LockReleased:
		if e.GetStep() != "" {
			return fmt.Sprintf("%d, %s: %s, more %v", e.GetToken(), e.GetOutcome(), e.GetStep(), e.GetMore())
		}
		if len(e.GetKeptFileIds()) > 0 {
			return fmt.Sprintf("%d, %s, keeps %s", e.GetToken(), e.GetOutcome(), w.names(e.GetKeptFileIds()))
		}
		return fmt.Sprintf("%d, %s", e.GetToken(), e.GetOutcome())
	}
	return w.tableWords(s)
}

// tableWords tells the events that belong to the table, not to one file.
func (w *world) tableWords(s said) string {
	switch e := s.event.(type) {
	case *blotterv1.TablePaused:
		return strings.TrimSuffix(e.GetReason()+": "+w.name(e.GetFile().GetFileId()), ": ")
	case *blotterv1.FlagChanged:
		if e.GetAuto() {
			return "auto"
		}
		return e.GetEngine().String()
	case *blotterv1.LoadOpened:
		return fmt.Sprintf("generation %d, %s", e.GetGeneration(), e.GetCause())
	case *blotterv1.LoadSealed:
		said := fmt.Sprintf("generation %d, %s: %s", e.GetGeneration(), e.GetCause(), w.names(e.GetFileIds()))
		if len(e.GetReplacedFileIds()) > 0 {
			said += "; replaced " + w.names(e.GetReplacedFileIds())
		}
		return said
	case *blotterv1.LoadHeld:
		return fmt.Sprintf("generation %d, %s: %s", e.GetGeneration(), e.GetReason(), e.GetDetail())
	case *blotterv1.LoadMended:
		return fmt.Sprintf("generation %d: %s", e.GetGeneration(), w.names(e.GetFileIds()))
	case interface{ GetGeneration() uint64 }: // LoadConfirmed, LoadAbandoned, LoadReopened
		return fmt.Sprintf("generation %d", e.GetGeneration())
	case *blotterv1.CommandAnswered:
		return e.GetCommand() + ": " + e.GetDetail()
	}
	return ""
}
