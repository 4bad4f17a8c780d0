package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "0d": 0, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "65535d": 65535 * 24 * time.Hour,
		"": -1, "d": -1, "1.5d": -1, "-3d": -1, "1d12h": -1, "65536d": -1, "soon": -1,
	} {
		got, err := parseSpan(text)
		if want < 0 != (err != nil) || want >= 0 && got != want || err != nil && !strings.Contains(err.Error(), "such as 90d") {
			t.Errorf("%q is %v (%v), expected %v", text, got, err, want)
		}
	}
}
