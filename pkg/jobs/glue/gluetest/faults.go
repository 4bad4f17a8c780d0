package gluetest

import "net/http"

// Fault is how one call goes wrong.
type Fault struct {
	// Code refuses the call with this error, and Status (0: 400).
	Code   string
	Status int
	// LoseCall closes the connection before the call is carried out, LoseAnswer
	// after it.
	LoseCall, LoseAnswer bool
	// Hide keeps the run that StartJobRun starts out of that many listings.
	Hide int
}

func (f Fault) status() int {
	if f.Status == 0 {
		return http.StatusBadRequest
	}
	return f.Status
}

// Inject has the next calls of an operation go wrong, one after the other; a zero
// Fault lets one pass.
func (s *Server) Inject(op string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = append(s.faults[op], faults...)
}

// fault counts a call and takes its fault.
func (s *Server) fault(op string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	if len(s.faults[op]) == 0 {
		return Fault{}
	}
	f := s.faults[op][0]
	if f.Hide > 0 {
		s.faults["hide"] = append(s.faults["hide"], f)
	}
	s.faults[op] = s.faults[op][1:]
	return f
}
