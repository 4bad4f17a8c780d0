package hammer

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"maps"
	"strconv"
	"sync"

	"github.com/openblotter/blotter/pkg/eventlog"
)

// Fault is one way in which a step goes wrong.
type Fault string

// The faults.
const (
	None       Fault = ""
	Death      Fault = "death"       // the process dies before or after the step
	Throttled  Fault = "throttled"   // nothing happens, and an error says so
	LostAnswer Fault = "lost answer" // it happens, and an error says it did not
	Half       Fault = "half"        // a part of an object is written, then an error comes
	Stall      Fault = "stall"       // the process stops past its deadline, then goes on
)

var (
	errCrash    = errors.New("the process has died")
	errInjected = errors.New("injected fault")
)

// strike is what a plan counts by.
type strike struct {
	step  string
	fault Fault
}

// plan decides where something goes wrong: of each step half of the ways once, soon after
// the step is first reached, then all of them now and then. The other half are soon with
// the seed beside it, so that two seeds have them all. What it decides hangs on the seed,
// the step, its subject and how often this came to pass, not on who comes first.
type plan struct {
	seed   uint64
	soon   int // one in so many visits of a step that has not gone wrong in this way
	rarely int // one in so many visits of another

	mu      sync.Mutex
	peace   bool
	stalls  int // that are still allowed
	asked   map[string]uint64
	visits  map[string]int
	strikes map[strike]int
	codes   map[int]int // of publishes that came second, by the server's code

	tell func(words ...string) // of each strike and conflict; nil: nobody is told
	kill func()                // ends the process; nil: its services end in it
	// ended tells before each strike whether another process has made peace; nil: none
	// can.
	ended func() bool
}

func newPlan(seed uint64, soon, rarely, stalls int) *plan {
	return &plan{
		seed: seed, soon: soon, rarely: rarely, stalls: stalls,
		asked: map[string]uint64{}, visits: map[string]int{}, strikes: map[strike]int{}, codes: map[int]int{},
	}
}

// struck takes in what went wrong in another process.
func (p *plan) struck(s strike) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes[s]++
}

// conflict takes in that a publish came second.
func (p *plan) conflict(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code]++
	if p.tell != nil {
		p.tell(toldConflict, strconv.Itoa(code))
	}
}

// peaceful strikes never.
func peaceful() *plan {
	p := newPlan(0, 1, 1, 0)
	p.end()
	return p
}

// draw chooses what goes wrong at a step, of the ways that it can.
func (p *plan) draw(step, subject string, ways ...Fault) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peace {
		return None
	}
	p.visits[step]++
	place := step + " " + subject
	p.asked[place]++
	for _, way := range ways {
		if way == Stall && p.stalls == 0 {
			continue
		}
		oneIn := uint64(p.rarely)
		if p.strikes[strike{step, way}] == 0 && p.chosen(step, way) {
			oneIn = uint64(p.soon)
		}
		if hash(p.seed, place+" "+string(way), p.asked[place])%oneIn > 0 {
			continue
		}
		if p.ended != nil && p.ended() {
			p.peace = true
			return None
		}
		p.strikes[strike{step, way}]++
		if way == Stall {
			p.stalls--
		}
		if p.tell != nil {
			p.tell(toldStrike, step, string(way))
		}
		return way
	}
	return None
}

func (p *plan) chosen(step string, way Fault) bool {
	return hash(p.seed/2, step+" "+string(way), 0)%2 == p.seed%2
}

func hash(seed uint64, place string, visit uint64) uint64 {
	h := fnv.New64a()
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(seed>>(8*i)), byte(visit>>(8*i))
	}
	_, _ = h.Write(b[:])
	_, _ = h.Write([]byte(place))
	sum := h.Sum64()
	// FNV's low bits are poor; what is left of a division needs good ones.
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	return sum ^ sum>>33
}

func (p *plan) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.peace = true
}

// counts gives the strikes by step and way, and the visits by step.
func (p *plan) counts() (visits map[string]int, strikes map[strike]int, codes map[int]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.visits), maps.Clone(p.strikes), maps.Clone(p.codes)
}

// conflicts hands on what is logged, and counts the publishes that came second.
type conflicts struct {
	slog.Handler
	count func(code int)
}

// Enabled has everything come here.
func (c conflicts) Enabled(context.Context, slog.Level) bool { return true }

// Handle counts a record, and hands it on.
func (c conflicts) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == eventlog.ConflictMessage {
		r.Attrs(func(a slog.Attr) bool {
			if a.Key == eventlog.ConflictCode {
				c.count(int(a.Value.Int64()))
			}
			return true
		})
	}
	if !c.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return c.Handler.Handle(ctx, r)
}
