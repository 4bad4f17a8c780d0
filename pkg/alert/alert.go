package alert

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrRefused: the channel will never take this alert, however often it is sent.
var ErrRefused = errors.New("the alert is refused")

// The kinds of alerts.
const (
	TablePaused  = "table_paused"
	LoadHeld     = "load_held"
	RowsSetAside = "rows_set_aside"
	Test         = "test" // of a channel, by an operator
)

// Alert says that a table waits for an operator, why, and with which commands it goes
// on. It holds no value of a row.
type Alert struct {
	// ID is that of the event which the alert tells of: an alert that is sent again,
	// as one whose answer was lost is, has the same.
	ID   string    `json:"id"`
	Time time.Time `json:"time"` // of the event, UTC
	Kind string    `json:"kind"`
	// Table is its registered name, "rms.reports".
	Table string `json:"table"`
	// Reason is the stable code of the event, such as "failure" or "late_load_file".
	Reason string `json:"reason"`
	// Detail is what happened, in a sentence.
	Detail  string   `json:"detail"`
	File    *File    `json:"file,omitempty"`    // the file it is about, if it is one
	Failure *Failure `json:"failure,omitempty"` // what is wrong with the file
	// Report is the key of the report in the failed bucket.
	Report string `json:"report,omitempty"`
	// Commands are what an operator can do, each with a comment.
	Commands []string `json:"commands"`
}

// File names a file of the raw bucket.
type File struct {
	ID        string `json:"id"`
	Bucket    string `json:"bucket"`
	Key       string `json:"key"`
	VersionID string `json:"version_id,omitempty"`
}

// Failure is what is wrong with a file, as its report has it.
type Failure struct {
	Code       string `json:"code"`
	Message    string `json:"message"`
	Row        int64  `json:"row,omitempty"` // from 1; 0: of no row
	Column     string `json:"column,omitempty"`
	Expected   string `json:"expected,omitempty"`
	Hint       string `json:"hint,omitempty"`
	RowsFailed int64  `json:"rows_failed,omitempty"`
}

// Channel is one place to which alerts are sent. Many goroutines may use it.
type Channel interface {
	// Send pushes an alert, at least once. ErrRefused is final; after any other error
	// the alert may have arrived or not, and is sent again.
	Send(ctx context.Context, a Alert) error
	// Name tells the channel from others, in logs: it shows no secret.
	Name() string
}

// Title is the alert in one line of plain ASCII, of at most 100 characters: what the
// subject of a mail may be.
func (a Alert) Title() string {
	says := map[string]string{
		TablePaused: "table %s is paused: %s", LoadHeld: "a full load of %s waits: %s", RowsSetAside: "rows of %s were set aside: %s",
		Test: "table %s waits: %s",
	}[a.Kind]
	title := []rune("Blotter: " + fmt.Sprintf(cmp.Or(says, "table %s: %s"), a.Table, a.Reason))
	for i, r := range title {
		if r < ' ' || r > '~' {
			title[i] = '?'
		}
	}
	return string(title[:min(len(title), 100)])
}

// Text is the whole alert for a person, of several lines.
func (a Alert) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", a.Title(), a.Detail)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name, value)
		}
	}
	b.WriteByte('\n')
	line("at", a.Time.UTC().Format(time.RFC3339))
	if a.File != nil {
		line("file", a.File.Key)
		line("bucket", a.File.Bucket)
		line("version", a.File.VersionID)
		line("file id", a.File.ID)
	}
	if f := a.Failure; f != nil {
		line("error", f.Code)
		if f.Row > 0 {
			line("row", fmt.Sprint(f.Row))
		}
		line("column", f.Column)
		line("expected", f.Expected)
		line("hint", f.Hint)
	}
	line("report", a.Report)
	if len(a.Commands) > 0 {
		b.WriteString("\nTo go on:\n")
		for _, c := range a.Commands {
			fmt.Fprintf(&b, "  %s\n", c)
		}
	}
	return b.String()
}
