package sample

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// value is one value in both spellings: as DMS writes it and as the expected
// rows show it.
type value struct {
	dms, want string
	null      bool
}

// cell is what a value is made of: the row's place in the table and a source
// of chance that depends on nothing else.
type cell struct {
	r  *rand.Rand
	id int64
}

// make gives the value of a cell.
type makes func(c cell) value

func same(s string) value { return value{dms: s, want: s} }

// id is the row's own number.
func id(c cell) value { return same(strconv.FormatInt(c.id, 10)) }

// ref is the number of a row of another table.
func ref(limit int64) makes {
	return func(c cell) value { return same(strconv.FormatInt(1+c.r.Int64N(limit), 10)) }
}

func number(low, high int) makes {
	return func(c cell) value { return same(strconv.Itoa(low + c.r.IntN(high-low+1))) }
}

func oneOf(words ...string) makes {
	return func(c cell) value { return same(words[c.r.IntN(len(words))]) }
}

// numbered is a text with the row's number in it.
func numbered(format string) makes {
	return func(c cell) value { return same(fmt.Sprintf(format, c.id)) }
}

// text is a text made by a function.
func text(f func(r *rand.Rand) string) makes {
	return func(c cell) value { return same(f(c.r)) }
}

// maybe is null in the given share of rows. What it would have been is drawn
// all the same, so that the row's other values do not depend on it.
func maybe(nulls float64, m makes) makes {
	return func(c cell) value {
		isNull := c.r.Float64() < nulls
		v := m(c)
		if isNull {
			return value{null: true}
		}
		return v
	}
}

// money is a decimal with two digits after the point, below the limit.
func money(limit int) makes {
	return func(c cell) value {
		cents := c.r.IntN(limit * 100)
		return same(fmt.Sprintf("%d.%02d", cents/100, cents%100))
	}
}

// degrees is a double, which DMS prints in scientific notation with a sign.
func degrees(low, high float64) makes {
	return func(c cell) value {
		written := fmt.Sprintf("%+.8e", low+c.r.Float64()*(high-low))
		f, _ := strconv.ParseFloat(written, 64)
		return value{dms: written, want: strconv.FormatFloat(f, 'f', -1, 64)}
	}
}

func truth(share float64) makes {
	return func(c cell) value { return same(strconv.FormatBool(c.r.Float64() < share)) }
}

func date(from, to int) makes {
	first := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC)
	days := int(time.Date(to+1, 1, 1, 0, 0, 0, 0, time.UTC).Sub(first) / (24 * time.Hour))
	return func(c cell) value { return same(first.AddDate(0, 0, c.r.IntN(days)).Format(time.DateOnly)) }
}

// The layouts of timestamps in DMS files and in expected rows.
const (
	microseconds = "2006-01-02 15:04:05.000000"
	withOffset   = microseconds + "-07:00"
)

// moment is a time in the weeks before the drop.
func moment(r *rand.Rand) time.Time {
	return time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(32*24*3600*1e6)) * time.Microsecond)
}

func timestamp(c cell) value { return same(moment(c.r).Format(microseconds)) }

// local is the offset of the department's clock in winter.
var local = time.FixedZone("", -5*3600)

// instant is a timestamp with time zone: written with the local offset, or in
// UTC without one.
func instant(c cell) value {
	t := moment(c.r)
	v := value{dms: t.Format(microseconds), want: t.Format(withOffset)}
	if c.r.IntN(3) > 0 {
		v.dms = t.In(local).Format(withOffset)
	}
	return v
}
