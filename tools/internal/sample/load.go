package sample

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Load tells what WriteLoad wrote.
type Load struct {
	Rows  int64
	Keys  int64 // distinct ones: the rows that the table must hold
	Bytes int64
}

// loadKinds are the kinds of columns that follow the key in a large load, over
// and over. With them a row of 20 columns takes about 284 bytes.
var loadKinds = []struct {
	sql   string
	write func(b []byte, n uint64) []byte
}{
	{"varchar(16)", appendLetters},
	{"bigint", func(b []byte, n uint64) []byte { return strconv.AppendUint(b, n%1e10, 10) }},
	{"decimal(10,2)", appendMoney},
	{"timestamp", appendMoment},
	{"date", appendDay},
	{"varchar(12)", func(b []byte, n uint64) []byte { return strconv.AppendUint(append(b, 'R', '-'), n%1e13, 36) }},
}

// LoadRegistration gives the registration file of the table that WriteLoad
// writes, as "<db>.<table>" with its files below dms/<db>/<table>/.
func LoadRegistration(db, table string, columns int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `database: %s
source: {prefix: dms/, schema: %s}
dms: {format: csv, header: false, op_column: null, timestamp_column: null, change_seq_column: null}
tables:
  - name: %s
    primary_key: [id]
    columns:
      id: bigint not null
`, db, db, table)
	for i := range columns - 1 {
		fmt.Fprintf(&b, "      c%02d: %s\n", i+1, loadKinds[i%len(loadKinds)].sql)
	}
	return b.String()
}

// duplicateShare is how many of a large load's rows repeat a key, in 10,000.
const duplicateShare = 200

// WriteLoad writes a large load file of so many rows and columns, without a
// header: a bigint key, then columns of all kinds. Two rows in a hundred repeat
// the key of a row somewhere before them; the last row of a key counts. The
// same arguments give the same bytes. The memory it takes does not grow with
// the rows.
func WriteLoad(w io.Writer, rows, columns int, seed uint64) (Load, error) {
	if columns < 1 {
		return Load{}, fmt.Errorf("write load: %d columns are too few", columns)
	}
	const flush = 1 << 18
	r := rand.NewPCG(seed, 3)
	var done Load
	buf := make([]byte, 0, flush+1<<16)
	for range rows {
		n := r.Uint64()
		key := uint64(done.Keys) + 1
		if n%10_000 < duplicateShare && done.Keys > 0 {
			key = (n>>16)%uint64(done.Keys) + 1
		} else {
			done.Keys++
		}
		buf = strconv.AppendUint(buf, key, 10)
		for i := range columns - 1 {
			buf = append(buf, ',')
			buf = loadKinds[i%len(loadKinds)].write(buf, r.Uint64())
		}
		buf = append(buf, '\n')
		done.Rows++
		if len(buf) >= flush {
			if err := done.flush(w, buf); err != nil {
				return done, err
			}
			buf = buf[:0]
		}
	}
	return done, done.flush(w, buf)
}

func (l *Load) flush(w io.Writer, buf []byte) error {
	n, err := w.Write(buf)
	l.Bytes += int64(n)
	if err != nil {
		return fmt.Errorf("write load: %w", err)
	}
	return nil
}

func appendLetters(b []byte, n uint64) []byte {
	const letters = "abcdefghijklmnop"
	for range 16 {
		b = append(b, letters[n%16])
		n /= 16
	}
	return b
}

func appendMoney(b []byte, n uint64) []byte {
	b = strconv.AppendUint(b, n/100%100_000, 10)
	return append(b, '.', byte('0'+n/10%10), byte('0'+n%10))
}

// loadEpoch is the first second that a large load tells of.
var loadEpoch = time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)

func appendMoment(b []byte, n uint64) []byte {
	const years14 = 14 * 365 * 24 * 3600 * 1_000_000
	return loadEpoch.Add(time.Duration(n%years14)*time.Microsecond).AppendFormat(b, microseconds)
}

func appendDay(b []byte, n uint64) []byte {
	return loadEpoch.AddDate(0, 0, int(n%5000)).AppendFormat(b, time.DateOnly)
}
