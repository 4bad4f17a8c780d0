package dms

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// OrderMode is what orders the changes of a table inside a generation; one
// mode for a table and generation.
type OrderMode uint8

// The modes; the zero value is none of them.
const (
	OrderByChangeSeq OrderMode = iota + 1 // AR_H_CHANGE_SEQ: 35 digits, compared as text
	OrderByTimestamp                      // the commit timestamp, UTC microseconds
	OrderByFile                           // file order alone
)

// String gives "change_seq", "timestamp" or "file".
func (m OrderMode) String() string {
	switch m {
	case OrderByChangeSeq:
		return "change_seq"
	case OrderByTimestamp:
		return "timestamp"
	case OrderByFile:
		return "file"
	}
	return "unknown"
}

// FileOrder is a file's place among the files of its table. Bytes compare as
// meant: load files before all others; then the time in the name (of a load
// file its number, then its segment and partition), padded; then LastModified;
// then the file id. It is printable ASCII without spaces.
type FileOrder string

// Position is a row's place in the total order of a table's generation, its row
// number apart: rows compare by (Position, row number). Bytes compare as meant:
// load rows first, then changes by the mode's column, then file order. All rows
// of a file in OrderByFile, and all rows of a load file, share one Position.
type Position string

// NewFileOrder builds the order of a file from its parts. LastModified counts
// to the nanosecond, in UTC.
func NewFileOrder(name Name, lastModified time.Time, id FileID) FileOrder {
	b := make([]byte, 0, 96)
	b = name.appendOrder(b)
	b = append(b, '/')
	b = appendOrderTime(b, lastModified)
	b = append(b, '/')
	b = append(b, id...)
	return FileOrder(b)
}

// appendOrderTime appends 23 digits: date, time and nanoseconds in UTC. Years
// beyond 0 to 9999, which no object store knows, are cut to that range.
func appendOrderTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	switch {
	case t.Year() < 0:
		t = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 9999:
		t = time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	}
	b = t.AppendFormat(b, "20060102150405")
	ns := t.Nanosecond()
	for div := 100_000_000; div > 0; div /= 10 {
		b = append(b, byte('0'+ns/div%10))
	}
	return b
}

// SeqDigits is the length of a change sequence.
const SeqDigits = 35

// ErrChangeSeq: a change sequence is not 35 digits.
var ErrChangeSeq = errors.New("the change sequence is not 35 digits")

// LoadPosition is the position of every row of a load file.
func LoadPosition(order FileOrder) Position {
	return Position("0/" + string(order))
}

// AppendChangePosition appends the position of a changed row to dst. Of seq and
// micros (the commit time in microseconds since 1970, UTC) only what the mode
// asks for is looked at. It fails with ErrChangeSeq, or on an unknown mode. It
// allocates nothing if there is room: 37 bytes and the order are enough.
func AppendChangePosition(dst []byte, mode OrderMode, seq []byte, micros int64, order FileOrder) ([]byte, error) {
	dst = append(dst, '1')
	switch mode {
	case OrderByChangeSeq:
		if !isChangeSeq(seq) {
			return nil, ErrChangeSeq
		}
		dst = append(dst, seq...)
	case OrderByTimestamp:
		// The sign bit turned over, numbers compare as their digits do.
		u := uint64(micros) ^ 1<<63
		for shift := 60; shift >= 0; shift -= 4 {
			dst = append(dst, "0123456789abcdef"[u>>shift&15])
		}
	case OrderByFile:
	default:
		return nil, fmt.Errorf("position of a change: unknown order mode %d", mode)
	}
	dst = append(dst, '/')
	return append(dst, order...), nil
}

// Tied reports whether two positions are of changes with one commit timestamp in
// different files, so that nothing but the order of the files tells them apart. Equal
// change sequences are one change, written again.
func Tied(a, b []byte) bool {
	const until = 1 + 16 // the kind, and the time in hexadecimal
	return len(a) > until && len(b) > until && a[0] == '1' && a[until] == '/' &&
		bytes.Equal(a[:until+1], b[:until+1]) && !bytes.Equal(a, b)
}

// CommitTime gives when the change of a position was committed at the source, in UTC,
// as far as the position tells: to the microsecond by a timestamp, to the hundredth of
// a second by a change sequence; false for rows of a load and in OrderByFile.
func (p Position) CommitTime() (time.Time, bool) {
	mode, _, _ := strings.Cut(string(p), "/")
	switch {
	case len(mode) == 1+SeqDigits && mode[0] == '1' && isChangeSeq([]byte(mode[1:])):
		t, err := time.Parse("20060102150405", mode[1:15])
		hundredths, _ := strconv.Atoi(mode[15:17])
		return t.Add(time.Duration(hundredths) * 10 * time.Millisecond), err == nil
	case len(mode) == 1+16 && mode[0] == '1':
		u, err := strconv.ParseUint(mode[1:], 16, 64)
		return time.UnixMicro(int64(u ^ 1<<63)).UTC(), err == nil
	}
	return time.Time{}, false
}

func isChangeSeq(seq []byte) bool {
	if len(seq) != SeqDigits {
		return false
	}
	for _, c := range seq {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
