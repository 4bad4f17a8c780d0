package iam

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// maxBody bounds the requests whose body says what they need: DynamoDB takes 4 MiB.
const maxBody = 16 << 20

// Door stands between a role and a stand-in for AWS, which looks at no permission: it
// lets through what the role may call, refuses the rest as AWS does, and remembers what it let through.
// Safe for concurrent use.
type Door struct {
	role    Role
	account Account
	proxy   *httputil.ReverseProxy
	refused func(why string)

	mu   sync.Mutex
	used map[Call]bool
}

// NewDoor makes the door of a role to what listens at an address. refused is told of each
// call that is refused.
func NewDoor(role Role, account Account, to *url.URL, refused func(why string)) *Door {
	d := &Door{role: role, account: account, refused: refused, used: map[Call]bool{}}
	d.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		// The role hears that there is no answer; one that has given up hears nothing.
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ModifyResponse: d.hide,
	}
	return d
}

// hide answers as S3 does to who asks for an object that is not there and may not list the
// bucket: that it is refused.
func (d *Door) hide(answer *http.Response) error {
	r := answer.Request
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if answer.StatusCode != http.StatusNotFound || !isS3(r) || key == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	lists := Call{"s3:ListBucket", fmt.Sprintf("arn:%s:s3:::%s", d.account.Partition, bucket)}
	if d.role.Allows(lists) {
		return nil
	}
	why := fmt.Sprintf("%s is not authorized to perform: s3:ListBucket on resource: %s (to hear that %s is not there)", d.role.Name, lists.Resource, key)
	d.refused(why)
	if err := answer.Body.Close(); err != nil {
		return err
	}
	body := fmt.Sprintf("<Error><Code>AccessDenied</Code><Message>%s</Message></Error>", why)
	answer.StatusCode, answer.Status = http.StatusForbidden, http.StatusText(http.StatusForbidden)
	answer.Header = http.Header{"Content-Type": {"application/xml"}}
	answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return nil
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	if !isS3(r) {
		var err error
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	operation, calls, err := d.account.Needs(r, body)
	if err != nil {
		d.deny(w, r, err.Error())
		return
	}
	for _, c := range calls {
		if !d.role.AllowsWith(c, Keys(r)) {
			d.deny(w, r, fmt.Sprintf("%s is not authorized to perform: %s on resource: %s (%s)", d.role.Name, c.Action, c.Resource, operation))
			return
		}
	}
	d.mu.Lock()
	for _, c := range calls {
		d.used[c] = true
	}
	d.mu.Unlock()
	d.proxy.ServeHTTP(w, r)
}

func isS3(r *http.Request) bool {
	m := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	return m != nil && m[1] == "s3"
}

// deny answers as AWS does, each of its protocols in its own way.
func (d *Door) deny(w http.ResponseWriter, r *http.Request, why string) {
	d.refused(why)
	switch {
	case isS3(r):
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>%s</Message></Error>", why)
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>%s</Message></Error></ErrorResponse>", why)
	default:
		w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"__type":"AccessDeniedException","message":%q}`, why)
	}
}

// Used gives what was let through.
func (d *Door) Used() map[Call]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	used := make(map[Call]bool, len(d.used))
	for c := range d.used {
		used[c] = true
	}
	return used
}
