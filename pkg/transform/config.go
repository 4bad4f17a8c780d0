package transform

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/openblotter/blotter/pkg/dms"
)

// Config bounds what one transform uses, and how it cuts its output. The limits
// of files and row groups decide the staged bytes: every machine that stages
// for the same lake keeps them the same.
type Config struct {
	// MemoryBytes bounds the rows that are held for sorting. Beyond it sorted runs
	// go to scratch files. Decoding and encoding need some 50 MB on top (and of
	// a Parquet file what the pages of one row group need, at most 256 MiB; of a wider
	// group one row, which has at most as much), and one row must fit. It does not change the output.
	MemoryBytes int64
	// ScratchDir is the folder for scratch files; empty is the system's. They are
	// removed however a transform ends, except by a crash of the process.
	ScratchDir string
	// FanIn is how many runs are merged at once. It does not change the output.
	FanIn int
	// Workers is how many goroutines encode columns. It does not change the output.
	Workers int

	// A staged file ends with the row group in which it reaches either of these.
	MaxFileBytes int64
	MaxFileRows  int64
	// A row group ends when it reaches either of these; the bytes are those of the
	// decoded rows.
	MaxGroupBytes int64
	MaxGroupRows  int64

	// MaxFieldBytes is the largest CSV field that is taken. While rows are as long,
	// up to some 25 times as much is in use, beside MemoryBytes: batches in flight,
	// and the buffers that grew to hold them. It is at most 128 MiB: a row may have
	// twice as much, which is what a row of a Parquet file may have, and a longer one
	// is refused (csv.record_size).
	MaxFieldBytes int
}

// maxFieldBytes bounds MaxFieldBytes. A record tells lengths in 32 bits: a row of
// maxWideRow, and its values once more in its key, are far below that.
const maxFieldBytes = maxWideRow / 2

// DefaultConfig gives the limits that production uses.
func DefaultConfig() Config {
	return Config{
		MemoryBytes:   128 << 20,
		FanIn:         64,
		Workers:       min(runtime.GOMAXPROCS(0), 4),
		MaxFileBytes:  128 << 20,
		MaxFileRows:   1 << 20,
		MaxGroupBytes: 64 << 20,
		MaxGroupRows:  1 << 17,
		MaxFieldBytes: dms.DefaultMaxField,
	}
}

// Validate reports all faults of a configuration together.
func (c Config) Validate() error {
	var faults []error
	positive := func(name string, n int64) {
		if n <= 0 {
			faults = append(faults, fmt.Errorf("%s is %d: must be positive", name, n))
		}
	}
	positive("memory_bytes", c.MemoryBytes)
	positive("workers", int64(c.Workers))
	positive("max_file_bytes", c.MaxFileBytes)
	positive("max_file_rows", c.MaxFileRows)
	positive("max_group_bytes", c.MaxGroupBytes)
	positive("max_group_rows", c.MaxGroupRows)
	positive("max_field_bytes", int64(c.MaxFieldBytes))
	if c.MaxFieldBytes > maxFieldBytes {
		faults = append(faults, fmt.Errorf("max_field_bytes is %d: must be at most %d", c.MaxFieldBytes, int64(maxFieldBytes)))
	}
	if c.FanIn < 2 {
		faults = append(faults, fmt.Errorf("fan_in is %d: must be at least 2", c.FanIn))
	}
	if c.ScratchDir != "" {
		if info, err := os.Stat(c.ScratchDir); err != nil {
			faults = append(faults, fmt.Errorf("scratch_dir: %w", err))
		} else if !info.IsDir() {
			faults = append(faults, fmt.Errorf("scratch_dir: %s is no folder", c.ScratchDir))
		}
	}
	return errors.Join(faults...)
}
