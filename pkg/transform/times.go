package transform

import "github.com/openblotter/blotter/pkg/registry"

const (
	secondsPerDay = 86_400
	microsPerSec  = 1_000_000
	microsPerDay  = secondsPerDay * microsPerSec
)

// The first and the last day that dates and timestamps may name: years 0001
// to 9999.
var (
	firstDay = daysFromCivil(1, 1, 1)
	lastDay  = daysFromCivil(9999, 12, 31)
)

// daysFromCivil counts days since 1970-01-01 in the proleptic Gregorian
// calendar. Years begin in March here, so that the leap day is the last.
func daysFromCivil(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146_097 + int64(doe) - 719_468
}

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func validDate(y, m, d int) bool {
	if y < 1 || m < 1 || m > 12 || d < 1 {
		return false
	}
	last := monthDays[m]
	if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
		last = 29
	}
	return d <= last
}

// twoDigits reads s[0:2]; -1 if they are no digits.
func twoDigits(s []byte) int {
	a, b := s[0]-'0', s[1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

// parseDay reads YYYY-MM-DD at the start of s.
func parseDay(s []byte) (days int64, rest []byte, ok bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, nil, false
	}
	c, y, m, d := twoDigits(s), twoDigits(s[2:]), twoDigits(s[5:]), twoDigits(s[8:])
	if c < 0 || y < 0 || !validDate(c*100+y, m, d) {
		return 0, nil, false
	}
	return daysFromCivil(c*100+y, m, d), s[10:], true
}

// parseClock reads HH:MM, HH:MM:SS or HH:MM:SS.f… at the start of s. Digits
// beyond the sixth of the fraction must be zero.
func parseClock(s []byte) (micros int64, rest []byte, ok bool) {
	if len(s) < 5 || s[2] != ':' {
		return 0, nil, false
	}
	h, m, sec := twoDigits(s), twoDigits(s[3:]), 0
	s = s[5:]
	if len(s) >= 3 && s[0] == ':' {
		sec = twoDigits(s[1:])
		s = s[3:]
		if len(s) > 0 && s[0] == '.' {
			if micros, s, ok = parseFraction(s[1:]); !ok {
				return 0, nil, false
			}
		}
	}
	if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 59 {
		return 0, nil, false
	}
	return micros + int64(h*3600+m*60+sec)*microsPerSec, s, true
}

func parseFraction(s []byte) (micros int64, rest []byte, ok bool) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		switch {
		case n < 6:
			micros = micros*10 + int64(s[n]-'0')
		case s[n] != '0':
			return 0, nil, false
		}
		n++
	}
	for i := n; i < 6; i++ {
		micros *= 10
	}
	return micros, s[n:], n > 0
}

// parseZone reads Z, ±HH, ±HHMM, ±HH:MM or ±HH:MM:SS, as PostgreSQL writes the
// offsets of old days, a space before it allowed; all of s must be it. The offset is in seconds east of UTC.
func parseZone(s []byte) (offset int64, ok bool) {
	if len(s) > 1 && s[0] == ' ' {
		s = s[1:]
	}
	if len(s) == 1 && (s[0] == 'Z' || s[0] == 'z') {
		return 0, true
	}
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	h, m, sec := twoDigits(s[1:]), 0, 0
	switch {
	case len(s) == 3:
	case len(s) == 5:
		m = twoDigits(s[3:])
	case len(s) == 6 && s[3] == ':':
		m = twoDigits(s[4:])
	case len(s) == 9 && s[3] == ':' && s[6] == ':':
		m, sec = twoDigits(s[4:]), twoDigits(s[7:])
	default:
		return 0, false
	}
	if h < 0 || h > 18 || m < 0 || m > 59 || sec < 0 || sec > 59 {
		return 0, false
	}
	offset = int64(h*3600 + m*60 + sec)
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// parseDate reads a date. A time of day is allowed if it is midnight: some
// sources know no date without one.
func parseDate(s []byte) (days int64, ok bool) {
	days, rest, ok := parseDay(s)
	if !ok || len(rest) == 0 {
		return days, ok
	}
	if rest[0] != ' ' && rest[0] != 'T' {
		return 0, false
	}
	micros, rest, ok := parseClock(rest[1:])
	return days, ok && micros == 0 && len(rest) == 0
}

// parseTimestamp reads a date with an optional time of day and, with kind
// TimestampTZ, an optional zone (UTC where there is none). Without a zone in
// its type only the offset zero is taken: any other would be lost. The result
// is in microseconds since 1970, UTC.
func parseTimestamp(s []byte, kind registry.Kind) (micros int64, ok bool) {
	days, rest, ok := parseDay(s)
	if !ok {
		return 0, false
	}
	var clock, offset int64
	if len(rest) > 0 {
		if rest[0] != ' ' && rest[0] != 'T' {
			return 0, false
		}
		if clock, rest, ok = parseClock(rest[1:]); !ok {
			return 0, false
		}
	}
	if len(rest) > 0 {
		if offset, ok = parseZone(rest); !ok || offset != 0 && kind != registry.TimestampTZ {
			return 0, false
		}
	}
	micros = days*microsPerDay + clock - offset*microsPerSec
	return micros, micros >= firstDay*microsPerDay && micros < (lastDay+1)*microsPerDay
}
