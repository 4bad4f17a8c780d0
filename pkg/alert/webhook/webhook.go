package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/openblotter/blotter/pkg/alert"
)

// IDHeader carries the id of an alert.
const IDHeader = "Blotter-Alert-Id"

// Hook posts to one address.
type Hook struct {
	url    string // a secret: whoever has it can post
	name   string
	client *http.Client
}

var _ alert.Channel = (*Hook)(nil)

// New makes a channel; it asks nothing yet. The address must be of https, or of http on
// the loopback interface.
func New(address string) (*Hook, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("expected https://HOST/PATH") // url's error would show it
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, fmt.Errorf("%s://%s: expected https, since what is sent names files and tables", u.Scheme, u.Host)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Hook{url: address, name: "webhook at " + u.Host, client: client}, nil
}

// Name implements alert.Channel: only the host of the address is told.
func (h *Hook) Name() string { return h.name }

// body is what is posted.
type body struct {
	alert.Alert
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Send implements alert.Channel.
func (h *Hook) Send(ctx context.Context, a alert.Alert) error {
	content, err := json.Marshal(body{a, a.Title(), a.Text()})
	if err != nil {
		return fmt.Errorf("encode alert %s: %w", a.ID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("post to the %s: the address cannot be used", h.name)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "blotter")
	req.Header.Set(IDHeader, a.ID)
	resp, err := h.client.Do(req)
	if err != nil {
		var shown *url.Error
		if errors.As(err, &shown) {
			err = shown.Err // it without the address
		}
		return fmt.Errorf("post to the %s: %w", h.name, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
	switch c := resp.StatusCode; {
	case c >= 200 && c < 300:
		return nil
	case c == http.StatusRequestTimeout, c == http.StatusTooManyRequests, c >= 500:
		return fmt.Errorf("post to the %s: it answers %s", h.name, resp.Status)
	default:
		return fmt.Errorf("post to the %s: it answers %s: %w", h.name, resp.Status, alert.ErrRefused)
	}
}
