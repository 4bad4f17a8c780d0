package transform

import (
	"encoding/hex"
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
)

const nanosPerSec = 1_000_000_000

// uint64Digits is how many digits the largest number of 64 bits has.
const uint64Digits = 20

// toMicros turns a timestamp into microseconds, if that is exact and within
// the years 0001 to 9999.
func toMicros(n, perSec int64) (int64, bool) {
	switch {
	case perSec < microsPerSec:
		factor := microsPerSec / perSec
		if n > (lastDay+1)*microsPerDay/factor || n < firstDay*microsPerDay/factor {
			return 0, false
		}
		n *= factor
	case perSec > microsPerSec:
		divisor := perSec / microsPerSec
		if n%divisor != 0 {
			return 0, false
		}
		n /= divisor
	}
	return n, n >= firstDay*microsPerDay && n < (lastDay+1)*microsPerDay
}

// unixJulianDay is the Julian day number of 1970-01-01.
const unixJulianDay = 2_440_588

// int96Micros reads the timestamps of old writers: nanoseconds of the day in
// eight bytes, then the Julian day. They name no zone.
func int96Micros(v deprecated.Int96) (int64, bool) {
	nanos, days := v.Int64(), int64(int32(v[2]))-unixJulianDay
	if nanos < 0 || nanos >= secondsPerDay*nanosPerSec || nanos%1_000 != 0 {
		return 0, false
	}
	return days*microsPerDay + nanos/1_000, days >= firstDay && days <= lastDay
}

// appendClock spells a time of day as databases print it: HH:MM:SS, and of the
// fraction what is not zero. It reports false for what is no time of a day.
func appendClock(dst []byte, n, perSec int64) ([]byte, bool) {
	if n < 0 || n >= secondsPerDay*perSec {
		return dst, false
	}
	sec, fraction := n/perSec, n%perSec
	dst = fmt.Appendf(dst, "%02d:%02d:%02d", sec/3600, sec/60%60, sec%60)
	if fraction == 0 {
		return dst, true
	}
	dst = fmt.Appendf(dst, ".%09d", fraction*(nanosPerSec/perSec))
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	return dst, true
}

// appendUUID spells a UUID: groups of lower-case hexadecimal digits.
func appendUUID(dst, v []byte) []byte {
	at := 0
	for i, n := range []int{4, 2, 2, 2, 6} {
		if i > 0 {
			dst = append(dst, '-')
		}
		to := min(at+n, len(v))
		dst = hex.AppendEncode(dst, v[at:to])
		at = to
	}
	return dst
}
