package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/lake"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

func newTableMaintain() *cobra.Command {
	return orderTable(&cobra.Command{
		Use:   "maintain TABLE",
		Short: "Have a table maintained now: small files merged, old snapshots forgotten",
		Long: `Have a table maintained as soon as nothing else runs, instead of when it is due.
What is due is done in short steps, between which files that wait go first; see
` + "`blotter table files`" + ` for what that is. On a stopped system it is done when it
runs again.`,
		Example: `  blotter table maintain rms.reports --reason "slow to read"`,
		Args:    cobra.ExactArgs(1),
	}, "maintain", func([]string) lockmanager.CommandRequest { return lockmanager.CommandRequest{} })
}

// sayMaintenance tells of the upkeep of a table.
func sayMaintenance(event proto.Message) string {
	switch e := event.(type) {
	case *blotterv1.MaintenanceRequested:
		return e.GetReason()
	case *blotterv1.MaintenanceGranted:
		return parts(token(e.GetToken()), "for "+e.GetReason())
	case *blotterv1.TableMaintained:
		more := ""
		if e.GetMore() {
			more = "more is due"
		}
		done := e.GetStep()
		if e.GetRemoved()+e.GetAdded() > 0 {
			done += fmt.Sprintf(": %d (%s) became %d (%s)", e.GetRemoved(), byteSize(e.GetBytesRemoved()), e.GetAdded(), byteSize(e.GetBytesAdded()))
		}
		return parts(token(e.GetToken()), done, more)
	case *blotterv1.MaintenanceFailed:
		return parts(token(e.GetToken()), failure(e.GetFailure()))
	}
	return ""
}

// byteSize shows bytes with two or three digits.
func byteSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	size := float64(n)
	unit := 0
	for size >= 1000 && unit < 5 {
		size, unit = size/1000, unit+1
	}
	text := fmt.Sprintf("%.1f", size)
	if size >= 10 {
		text = fmt.Sprintf("%.0f", size)
	}
	return text + " " + strings.Fields("B kB MB GB TB PB")[unit]
}

// maintenance tells how far the upkeep of a table is.
func (v *tableView) maintenance() string {
	m := v.Maintenance
	s := "no step yet"
	if !m.At.IsZero() {
		s = fmt.Sprintf("last step %s at %s", m.LastStep, longTime(m.At))
		if m.LastStep == lake.MaintainNone {
			s = "nothing was due at " + longTime(m.At)
		}
	}
	if m.Publications > 0 {
		s += fmt.Sprintf(", %s since", count(m.Publications, "publication"))
	}
	switch {
	case m.Failures > 0 && m.Failure != nil:
		s += fmt.Sprintf("; failed %s, last at %s with %s: %s; tried again after %s",
			count(m.Failures, "time"), longTime(m.Failure.Time), m.Failure.Code, m.Failure.Message, longTime(m.Next))
	case m.Requested:
		s += "; asked for, it is done once nothing else runs"
	case m.More:
		s += "; more is due"
	case !m.Next.IsZero():
		s += "; due by age after " + longTime(m.Next)
	}
	return s
}
