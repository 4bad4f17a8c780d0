// Package jsonserver is what stand-ins for AWS services share that speak JSON 1.1 over
// HTTP: it finds the operation of a call, reads its members strictly, and goes wrong as a
// test tells it to.
package jsonserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// contentType is that of the protocol (Smithy, "AWS JSON 1.1 protocol").
const contentType = "application/x-amz-json-1.1"

// Operation carries out a call whose members d holds, and gives its answer.
type Operation func(d *json.Decoder) (any, *Error)

// Op makes an operation of a function of its members. A member that In does not have is
// a fault of the caller.
func Op[In any](do func(In) (any, *Error)) Operation {
	return func(d *json.Decoder) (any, *Error) {
		var in In
		if err := d.Decode(&in); err != nil {
			return nil, Refuse("InvalidInputException", err.Error())
		}
		return do(in)
	}
}

// Error is an answer that is an error.
type Error struct {
	Status        int
	Code, Message string
}

// Refuse gives the error of a call that is at fault.
func Refuse(code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

// Fault is how one call goes wrong.
type Fault struct {
	// Code refuses the call with this error, and Status (0: 400).
	Code   string
	Status int
	// LoseCall closes the connection before the call is carried out, LoseAnswer
	// after it.
	LoseCall, LoseAnswer bool
	// Then is run before the fault shows; may be nil.
	Then func()
}

// Server answers the calls of one service. Its methods may be used by many goroutines.
type Server struct {
	service    string
	operations map[string]Operation

	mu     sync.Mutex
	faults map[string][]Fault
	calls  map[string]int
}

// New gives a server of these operations by name; service is what stands before their
// names in X-Amz-Target, such as "AWSGlue".
func New(service string, operations map[string]Operation) *Server {
	return &Server{service: service, operations: operations, faults: map[string][]Fault{}, calls: map[string]int{}}
}

// Inject has the next calls of an operation go wrong, one after the other; a zero
// Fault lets one pass.
func (s *Server) Inject(op string, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[op] = append(s.faults[op], faults...)
}

// Calls tells how often an operation was called.
func (s *Server) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// fault counts a call and takes its fault.
func (s *Server) fault(op string) (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[op]++
	if list := s.faults[op]; len(list) > 0 {
		f, s.faults[op] = list[0], list[1:]
	}
	return f
}

// ServeHTTP answers one call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), s.service+".")
	if !ok || r.Method != http.MethodPost || r.Header.Get("Content-Type") != contentType {
		answer(w, nil, Refuse("UnknownOperationException", "a call of "+s.service+" is a POST of JSON 1.1 with its name in X-Amz-Target"))
		return
	}
	fault := s.fault(op)
	if !fault.LoseAnswer && fault.Then != nil {
		fault.Then()
	}
	switch {
	case fault.LoseCall:
		panic(http.ErrAbortHandler)
	case fault.Code != "":
		e := Refuse(fault.Code, "as the test wants it")
		if fault.Status != 0 {
			e.Status = fault.Status
		}
		answer(w, nil, e)
		return
	}
	out, err := s.call(op, r)
	if fault.LoseAnswer {
		if fault.Then != nil {
			fault.Then()
		}
		panic(http.ErrAbortHandler)
	}
	answer(w, out, err)
}

func (s *Server) call(op string, r *http.Request) (any, *Error) {
	do, known := s.operations[op]
	if !known {
		return nil, Refuse("UnknownOperationException", op)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	return do(d)
}

func answer(w http.ResponseWriter, out any, err *Error) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-0000-0000-000000000000")
	status := http.StatusOK
	if err != nil {
		status, out = err.Status, map[string]string{"__type": err.Code, "Message": err.Message}
	}
	data, fault := json.Marshal(out)
	if fault != nil {
		panic(fmt.Sprintf("jsonserver: encode an answer: %v", fault))
	}
	w.WriteHeader(status)
	_, _ = w.Write(data) // the caller may have gone
}
