package hammer

import (
	"errors"
	"hash/fnv"
	"sync"
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

// plan decides where something goes wrong: at each step each way once, soon after
// the step is first reached, then now and then. What it decides hangs on the seed,
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
}

func newPlan(seed uint64, soon, rarely, stalls int) *plan {
	return &plan{
		seed: seed, soon: soon, rarely: rarely, stalls: stalls,
		asked: map[string]uint64{}, visits: map[string]int{}, strikes: map[strike]int{},
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
		if p.strikes[strike{step, way}] == 0 {
			oneIn = uint64(p.soon)
		}
		if hash(p.seed, place+" "+string(way), p.asked[place])%oneIn > 0 {
			continue
		}
		p.strikes[strike{step, way}]++
		if way == Stall {
			p.stalls--
		}
		return way
	}
	return None
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
func (p *plan) counts() (visits map[string]int, strikes map[strike]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	visits, strikes = map[string]int{}, map[strike]int{}
	for k, v := range p.visits {
		visits[k] = v
	}
	for k, v := range p.strikes {
		strikes[k] = v
	}
	return visits, strikes
}
