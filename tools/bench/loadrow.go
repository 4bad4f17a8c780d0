package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// incident is a row of the load file that the memory is measured with.
type incident struct {
	ID        int64   `parquet:"id"`
	CaseNo    string  `parquet:"case_no"`
	Status    string  `parquet:"status"`
	Officer   *int64  `parquet:"officer,optional"`
	Address   string  `parquet:"address"`
	Narrative *string `parquet:"narrative,optional"`
	Fee       int64   `parquet:"fee,decimal(2:10)"`
	Latitude  float64 `parquet:"latitude"`
	Longitude float64 `parquet:"longitude"`
	Filed     int32   `parquet:"filed,date"` // days since 1970
	Occurred  int64   `parquet:"occurred,timestamp(microsecond)"`
	Sealed    bool    `parquet:"sealed"`
}

const incidentRegistration = `database: bench
source: {prefix: dms/, schema: bench}
dms: {format: csv, header: false, op_column: null, timestamp_column: null, change_seq_column: null}
tables:
  - name: incidents
    primary_key: [id]
    columns:
      id: bigint not null
      case_no: varchar(16)
      status: varchar(16)
      officer: bigint
      address: varchar(60)
      narrative: varchar(4000)
      fee: decimal(10,2)
      latitude: double
      longitude: double
      filed: date
      occurred: timestamp
      sealed: boolean
`

var (
	incidentStates = []string{"OPEN", "CLOSED", "PENDING REVIEW", "REFERRED", "VOID"}
	incidentWords  = strings.Fields("the officer met a witness who said that two persons left on foot towards the " +
		"station before anyone came; property was returned, statements were taken and photographs filed with evidence")
)

// incidents makes rows without end; what it holds does not grow with them.
type incidents struct {
	r    *rand.Rand
	keys int64 // distinct ones so far
	text []byte
}

func newIncidents(seed uint64) *incidents { return &incidents{r: rand.New(rand.NewPCG(seed, 5))} }

// key gives the n-th distinct key: all differ, and neighbours lie far apart.
func (g *incidents) key(n int64) int64 {
	const odd, bits = 0x9E3779B97F4A7C15, 44
	return int64(uint64(n) * odd & (1<<bits - 1))
}

// next makes a row. Two in a hundred repeat the key of a row before them.
func (g *incidents) next(row *incident) {
	r := g.r
	n := g.keys
	if g.keys > 0 && r.IntN(50) == 0 {
		n = r.Int64N(g.keys)
	} else {
		g.keys++
	}
	*row = incident{
		ID: g.key(n), CaseNo: "C" + strconv.Itoa(2000+r.IntN(25)) + "-" + strconv.Itoa(1_000_000+r.IntN(9_000_000)),
		Status: incidentStates[r.IntN(len(incidentStates))], Fee: r.Int64N(1_000_000),
		Address:  strconv.Itoa(1+r.IntN(9999)) + " block of " + strconv.Itoa(1+r.IntN(300)) + "th street",
		Latitude: 38.8 + r.Float64(), Longitude: -77 - r.Float64(),
		Filed: int32(11_000 + r.IntN(8000)), Occurred: 1_000_000_000_000_000 + r.Int64N(600_000_000_000_000),
		Sealed: r.IntN(10) == 0,
	}
	if r.IntN(4) > 0 {
		officer := r.Int64N(5000)
		row.Officer = &officer
	}
	if r.IntN(10) > 0 {
		text := g.narrative()
		row.Narrative = &text
	}
}

// narrative makes some lines of text: 10 to 60 words.
func (g *incidents) narrative() string {
	g.text = g.text[:0]
	for n := range 10 + g.r.IntN(51) {
		if n > 0 {
			g.text = append(g.text, " \n"[min(1, g.r.IntN(40)/39)])
		}
		g.text = append(g.text, incidentWords[g.r.IntN(len(incidentWords))]...)
	}
	return string(g.text)
}

// appendCSV appends the row as a line of CSV.
func (row *incident) appendCSV(b []byte) []byte {
	b = strconv.AppendInt(b, row.ID, 10)
	b = append(append(b, ','), row.CaseNo...)
	b = append(append(b, ','), row.Status...)
	b = append(b, ',')
	if row.Officer != nil {
		b = strconv.AppendInt(b, *row.Officer, 10)
	}
	b = append(append(b, ','), row.Address...)
	b = append(b, ',')
	if row.Narrative != nil {
		b = append(append(append(b, '"'), *row.Narrative...), '"')
	}
	b = strconv.AppendInt(append(b, ','), row.Fee/100, 10)
	b = append(b, '.', byte('0'+row.Fee/10%10), byte('0'+row.Fee%10))
	b = strconv.AppendFloat(append(b, ','), row.Latitude, 'e', 16, 64)
	b = strconv.AppendFloat(append(b, ','), row.Longitude, 'e', 16, 64)
	b = time.Unix(int64(row.Filed)*24*3600, 0).UTC().AppendFormat(append(b, ','), time.DateOnly)
	b = time.UnixMicro(row.Occurred).UTC().AppendFormat(append(b, ','), "2006-01-02 15:04:05.000000")
	b = strconv.AppendBool(append(b, ','), row.Sealed)
	return append(b, '\n')
}
