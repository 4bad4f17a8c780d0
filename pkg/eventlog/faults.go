package eventlog

import "context"

// Step is a moment between two effects of the log, where a process may die.
type Step string

// The steps, in the order in which an event passes them.
const (
	BeforePublish Step = "before publish"
	AfterPublish  Step = "after publish"
	BeforeAck     Step = "before ack"
	AfterAck      Step = "after ack"
)

// Faults is asked at every step with the id of the event; an error stands for
// the death of the process there: it comes back to the caller, and a consumer
// ends with it without doing anything further. Tests inject crashes so.
type Faults interface {
	At(ctx context.Context, step Step, id string) error
}

// WithFaults has f asked at every step.
func WithFaults(f Faults) Option { return func(l *Log) { l.faults = f } }

func (l *Log) at(ctx context.Context, step Step, id string) error {
	if l.faults == nil {
		return nil
	}
	return Permanent(l.faults.At(ctx, step, id))
}
