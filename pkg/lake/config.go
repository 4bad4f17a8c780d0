package lake

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/openblotter/blotter/pkg/objects"
)

// Config holds the thresholds of merging. The zero value is not valid; begin
// with DefaultConfig.
type Config struct {
	// SmallTableRows: a table that has at most this many rows after a merge is
	// rewritten whole by it, so that a small table is one file without deletes; unless
	// its files have more than SmallTableBytes before.
	SmallTableRows  int64
	SmallTableBytes int64
	// RewriteFraction: when a merge replaces more than this part of the rows of
	// the files that it touches, they are rewritten; else position deletes hide
	// the replaced rows. Between 0 and 1.
	RewriteFraction float64
	// MaxDeleteFiles: files that a merge touches are rewritten too once one of
	// them would have more position-delete files than this.
	MaxDeleteFiles int
	// AdoptRows: a staged file with fewer rows is merged with others instead of
	// becoming a data file as it is.
	AdoptRows int64
	// MaxFileRows and MaxFileBytes bound a written data file.
	MaxFileRows  int64
	MaxFileBytes int64
	// A row group of written files ends when it reaches either of these; the bytes
	// are those of the decoded rows. It is held in memory until then, and an eighth of
	// it before it is encoded; one row must fit.
	RowGroupRows  int64
	RowGroupBytes int64
	// MaxTombstoneFiles: beyond this many, the smaller files of remembered
	// deletes are merged into one.
	MaxTombstoneFiles int
	// WindowRows is how many changes are probed at a time; a change in the window
	// takes its key, its position and some twenty bytes.
	WindowRows int
	// MergeFanIn is how many staged files and data files are merged at once, at
	// least 2. Where more have keys in the same range, they are merged in passes,
	// through sorted runs in one file of ScratchDir. A file that is merged takes one
	// page and 24 KiB for each of its columns, so that 32 files of ten columns take
	// some 80 MiB at the most; a run in between of keys alone takes 64 KiB.
	MergeFanIn int
	// ScratchDir is the folder for scratch files; empty is the system's. They hold
	// rows, have no name, and are gone with the process.
	ScratchDir string
	// PositionDeleteRows: engines that can are asked for position deletes for tables
	// of at least this many rows; smaller ones are searched by the curator alone.
	PositionDeleteRows int64
	// PositionDeleteFiles: and of at most this many data files, since each is named
	// to the engine.
	PositionDeleteFiles int
	// CommitAttempts bounds how often a publication is tried while other commits
	// come first.
	CommitAttempts int
	// Maintenance holds the thresholds of Maintain.
	Maintenance MaintenanceConfig
}

// DefaultConfig gives the thresholds for tables of some thousands to some
// hundred million rows.
func DefaultConfig() Config {
	return Config{
		SmallTableRows: 20_000, SmallTableBytes: 32 << 20, RewriteFraction: 0.25, MaxDeleteFiles: 16,
		AdoptRows: 16_384, MaxFileRows: 4 << 20, MaxFileBytes: 256 << 20, RowGroupRows: 128 << 10, RowGroupBytes: 64 << 20,
		MaxTombstoneFiles: 8, WindowRows: 16_384, MergeFanIn: 32, CommitAttempts: 8,
		PositionDeleteRows: 10_000_000, PositionDeleteFiles: 10_000,
		Maintenance: DefaultMaintenanceConfig(),
	}
}

// Validate reports all faults together.
func (c Config) Validate() error {
	faults := c.Maintenance.faults()
	positive := func(name string, v int64) { faults = append(faults, notPositive(name, v)) }
	positive("max_file_rows", c.MaxFileRows)
	positive("max_file_bytes", c.MaxFileBytes)
	positive("row_group_rows", c.RowGroupRows)
	positive("row_group_bytes", c.RowGroupBytes)
	positive("max_delete_files", int64(c.MaxDeleteFiles))
	positive("max_tombstone_files", int64(c.MaxTombstoneFiles))
	positive("window_rows", int64(c.WindowRows))
	positive("commit_attempts", int64(c.CommitAttempts))
	positive("position_delete_rows", c.PositionDeleteRows)
	positive("position_delete_files", int64(c.PositionDeleteFiles))
	if c.MergeFanIn < 2 {
		faults = append(faults, fmt.Errorf("lake: merge_fan_in must be at least 2, is %d", c.MergeFanIn))
	}
	if c.Maintenance.SmallFileRows > c.MaxFileRows || c.Maintenance.SmallFileBytes > c.MaxFileBytes {
		faults = append(faults, errors.New("lake: small_file_rows and small_file_bytes must not be above max_file_rows and max_file_bytes, or merged files stay small"))
	}
	if c.SmallTableRows < 0 || c.SmallTableBytes < 0 || c.AdoptRows < 0 {
		faults = append(faults, errors.New("lake: small_table_rows, small_table_bytes and adopt_rows must not be negative"))
	}
	if c.RewriteFraction < 0 || c.RewriteFraction > 1 {
		faults = append(faults, fmt.Errorf("lake: rewrite_fraction must lie between 0 and 1, is %v", c.RewriteFraction))
	}
	return errors.Join(faults...)
}

// slabBytes is how much of a row group is gathered before it is encoded.
func (c Config) slabBytes() int64 { return c.RowGroupBytes / 8 }

// notPositive is the fault of a number that must be above 0; nil if it is.
func notPositive(name string, v int64) error {
	if v > 0 {
		return nil
	}
	return fmt.Errorf("lake: %s must be above 0, is %d", name, v)
}

// Deps are what a Lake works with.
type Deps struct {
	Catalog Catalog
	// IO is the warehouse; the catalog must have been opened with its Properties.
	IO *IO
	// Staging is the bucket that manifests and staged files lie in.
	Staging objects.Bucket
	Logger  *slog.Logger // nil discards
	// Now is the clock by which snapshots and objects grow old; nil is the system's.
	Now func() time.Time
	// Step, if set, is told of each step of a publication or of maintenance before it is taken; an
	// error ends the work there, as a crash would. For tests.
	Step func(Step) error
}

// Step is a point of a publication or of maintenance at which a crash is tried.
type Step string

// The steps, in order.
const (
	StepAudited    Step = "audited"    // the staged output is whole and true
	StepFolded     Step = "folded"     // it is known what survives and what is replaced
	StepWritten    Step = "written"    // data files lie in the warehouse
	StepDeletes    Step = "deletes"    // position deletes lie there too
	StepTombstones Step = "tombstones" // remembered deletes lie there too
	StepStaged     Step = "staged"     // the manifests of the snapshot are written
	StepCommitted  Step = "committed"  // the commit has happened
	StepRemoved    Step = "removed"    // maintenance has removed one more orphan
)
