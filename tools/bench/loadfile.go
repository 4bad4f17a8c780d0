package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"
)

// loadFormat is a form in which DMS writes a load file.
type loadFormat string

const (
	formatCSV     loadFormat = "csv"
	formatGzip    loadFormat = "gzip"
	formatParquet loadFormat = "parquet"
)

var loadFormats = []loadFormat{formatCSV, formatGzip, formatParquet}

// fileName is the load file's, below the folder of its table.
func (f loadFormat) fileName() string {
	switch f {
	case formatGzip:
		return "LOAD00000001.csv.gz"
	case formatParquet:
		return "LOAD00000001.parquet"
	}
	return "LOAD00000001.csv"
}

// registration is that of the table that has a load file of this form.
func (f loadFormat) registration() string {
	if f == formatParquet {
		return strings.Replace(incidentRegistration, "format: csv", "format: parquet", 1)
	}
	return incidentRegistration
}

// loadFile tells of a load file that was written.
type loadFile struct {
	rows  int64
	keys  int64 // distinct ones: the rows that must be staged
	plain int64 // bytes of its rows as CSV
	bytes int64 // on disk
}

// rowWriter takes rows and the lines that they are as CSV.
type rowWriter interface {
	write(row *incident, line []byte) error
	close() error
}

// writeLoadFile writes rows until they take size bytes as CSV. The same size and
// seed give the same rows in every form.
func writeLoadFile(name string, format loadFormat, size int64, seed uint64) (done loadFile, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return done, fmt.Errorf("write the load file: %w", err)
	}
	f, err := os.Create(name)
	if err != nil {
		return done, fmt.Errorf("write the load file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := bufio.NewWriterSize(f, 1<<20)
	to := newRowWriter(buf, format)
	rows := newIncidents(seed)
	var row incident
	var line []byte
	for done.plain < size {
		rows.next(&row)
		line = row.appendCSV(line[:0])
		if err := to.write(&row, line); err != nil {
			return done, fmt.Errorf("write the load file: %w", err)
		}
		done.rows++
		done.plain += int64(len(line))
	}
	if err := errors.Join(to.close(), buf.Flush()); err != nil {
		return done, fmt.Errorf("write the load file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return done, fmt.Errorf("write the load file: %w", err)
	}
	done.keys, done.bytes = rows.keys, info.Size()
	return done, nil
}

func newRowWriter(w io.Writer, format loadFormat) rowWriter {
	switch format {
	case formatGzip:
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // a level that there is
		return &gzipRows{to: w, z: z}
	case formatParquet:
		return &parquetRows{w: parquet.NewGenericWriter[incident](w,
			parquet.Compression(&snappy.Codec{}), parquet.MaxRowsPerRowGroup(parquetGroup), parquet.PageBufferSize(1<<20))}
	}
	return csvRows{w}
}

type csvRows struct{ io.Writer }

func (c csvRows) write(_ *incident, line []byte) error {
	_, err := c.Write(line)
	return err
}

func (c csvRows) close() error { return nil }

// memberBytes is what one gzip member unpacks to.
const memberBytes = 16 << 20

// gzipRows writes CSV in several gzip members, one after another.
type gzipRows struct {
	to     io.Writer
	z      *gzip.Writer
	member int
}

func (g *gzipRows) write(_ *incident, line []byte) error {
	if g.member >= memberBytes {
		if err := g.z.Close(); err != nil {
			return err
		}
		g.z.Reset(g.to)
		g.member = 0
	}
	g.member += len(line)
	_, err := g.z.Write(line)
	return err
}

func (g *gzipRows) close() error { return g.z.Close() }

// parquetGroup is how many rows DMS puts into a row group, unless told otherwise.
const parquetGroup = 10_000

type parquetRows struct {
	w   *parquet.GenericWriter[incident]
	one [1]incident
}

func (p *parquetRows) write(row *incident, _ []byte) error {
	p.one[0] = *row
	_, err := p.w.Write(p.one[:])
	return err
}

func (p *parquetRows) close() error { return p.w.Close() }
