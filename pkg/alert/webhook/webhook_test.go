package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/openblotter/blotter/pkg/alert"
	"github.com/openblotter/blotter/pkg/alert/alerttest"
)

// serve runs a server that answers with a status, and gives its address and what it got.
func serve(t *testing.T, status int) (string, <-chan body) {
	t.Helper()
	got := make(chan body, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b body
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil || r.Method != http.MethodPost ||
			r.Header.Get("Content-Type") != "application/json" || r.Header.Get(IDHeader) != b.ID {
			t.Errorf("%s with %v: %v", r.Method, r.Header, err)
		}
		got <- b
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/services/s3cret", got
}

func open(t *testing.T, address string) *Hook {
	t.Helper()
	h, err := New(address)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestContract(t *testing.T) {
	address, got := serve(t, http.StatusNoContent)
	alerttest.Run(t, alerttest.Site{Channel: open(t, address), Secret: "s3cret", Taken: func(t *testing.T) alert.Alert {
		t.Helper()
		select {
		case b := <-got:
			return b.Alert
		default:
			t.Fatal("nothing arrived")
			return alert.Alert{}
		}
	}})
}

func TestChatProgramsShowAText(t *testing.T) {
	address, got := serve(t, http.StatusOK)
	if err := open(t, address).Send(t.Context(), alerttest.Full()); err != nil {
		t.Fatal(err)
	}
	b := <-got
	if b.Title != "Blotter: table rms.stra?en is paused: failure" || !strings.HasPrefix(b.Text, b.Title) ||
		!strings.Contains(b.Text, "\n  blotter resume 'rms.straßen' --retry   # again\n") || !strings.Contains(b.Text, "\ncolumn     größe\n") {
		t.Errorf("title %q, text %q", b.Title, b.Text)
	}
}

func TestAnswers(t *testing.T) {
	for status, refused := range map[int]bool{
		http.StatusBadRequest: true, http.StatusNotFound: true, http.StatusGone: true, http.StatusFound: true,
		http.StatusRequestTimeout: false, http.StatusTooManyRequests: false, http.StatusInternalServerError: false, http.StatusServiceUnavailable: false,
	} {
		address, got := serve(t, status)
		err := open(t, address).Send(t.Context(), alerttest.Full())
		if err == nil || errors.Is(err, alert.ErrRefused) != refused || len(got) != 1 {
			t.Errorf("%d: got %v after %d requests, refused %v", status, err, len(got), refused)
		}
	}
}

func TestASecretIsShownToNobody(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	h := open(t, gone.URL+"/s3cret?token=s3cret")
	err := h.Send(context.Background(), alerttest.Full())
	if err == nil || errors.Is(err, alert.ErrRefused) || strings.Contains(err.Error()+h.Name(), "s3cret") {
		t.Errorf("got %v of %s", err, h.Name())
	}
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://hooks.example.org/x": true, "http://127.0.0.1:8080/": true, "http://localhost/x": true, "http://[::1]/x": true,
		"http://hooks.example.org/x": false, "ftp://127.0.0.1/": false, "hooks.example.org/s3cret": false, "": false, "https://": false,
		"http://127.0.0.1.example.org/": false, "https://user:s3cret@%zz/": false,
	} {
		_, err := New(address)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: got %v", address, err)
		}
	}
}
