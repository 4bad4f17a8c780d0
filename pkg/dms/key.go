package dms

import (
	"fmt"
	"net/url"
	"unicode/utf8"
)

// DecodeNotificationKey gives the true key of an object from an S3 event
// notification, which encodes keys for URLs, a space as "+". The events of
// EventBridge carry keys as they are: never decode those.
func DecodeNotificationKey(key string) (string, error) {
	s, err := url.QueryUnescape(key)
	if err != nil {
		return "", fmt.Errorf("decode object key of a notification: %w", err)
	}
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("decode object key of a notification: the key %q is not UTF-8", key)
	}
	return s, nil
}
