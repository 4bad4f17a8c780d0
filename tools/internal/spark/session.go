package spark

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/openblotter/blotter/pkg/jobs/localspark"
	"github.com/openblotter/blotter/pkg/jobs/positions"
	"github.com/openblotter/blotter/pkg/jobs/rows"
	"github.com/openblotter/blotter/pkg/lake"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/transform"
	"github.com/openblotter/blotter/services/glue-dispatcher/job"
)

// RowsVariable names the program for rows that tasks start; without it they start
// this program, which has more to set up before it reads a row.
const RowsVariable = "BLOTTER_SPARK_ROWS"

// The first argument of a program that is to be the program for rows, or for positions.
const (
	rowsCommand      = "spark-rows"
	positionsCommand = "spark-positions"
)

// RowsIfAsked makes this program the program for rows or for positions, and ends it,
// if Spark started it as such. Every program that opens a Session calls it first.
func RowsIfAsked() {
	if len(os.Args) < 2 {
		return
	}
	switch os.Args[1] {
	case rowsCommand:
		os.Exit(rows.Program{
			Open: rows.OpenFolder, Config: transform.DefaultConfig(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		}.Run(context.Background(), os.Args[2:]))
	case positionsCommand:
		os.Exit(positions.Program{
			Open: rows.OpenFolder, Config: lake.DefaultConfig(), In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		}.Run(context.Background(), os.Args[2:]))
	}
}

// Session is a local Spark with the job's scripts in a folder of its own.
type Session struct {
	*localspark.Session
	dir  string
	lock *lifecycle.FolderLock // which tells others that the folder is in use
}

// Open makes a session; change may change its configuration. Spark itself starts
// with the first job.
func Open(ctx context.Context, logger *slog.Logger, change func(*localspark.Config)) (_ *Session, err error) {
	python, err := Python(ctx, logger)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	rowsProgram := os.Getenv(RowsVariable)
	if rowsProgram != "" {
		if err := checkRows(ctx, rowsProgram); err != nil {
			return nil, err
		}
	}
	removeDead(ctx, os.TempDir(), logger)
	s := &Session{}
	if s.dir, s.lock, err = makeFolder(os.TempDir()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.removeFolder())
		}
	}()
	scripts := filepath.Join(s.dir, "job")
	if err := os.CopyFS(scripts, job.Files); err != nil {
		return nil, fmt.Errorf("lay out the job's scripts: %w", err)
	}
	cfg := localspark.DefaultConfig()
	cfg.Command = []string{python, filepath.Join(scripts, "session.py")}
	cfg.Rows, cfg.Positions = []string{exe, rowsCommand}, []string{exe, positionsCommand}
	if rowsProgram != "" {
		cfg.Rows = []string{rowsProgram}
	}
	cfg.Scratch = s.dir
	if change != nil {
		change(&cfg)
	}
	s.Session, err = localspark.NewSession(cfg, logger)
	return s, err
}

// Close ends Spark and removes what it left.
func (s *Session) Close() error {
	return errors.Join(s.Session.Close(), s.removeFolder())
}

func (s *Session) removeFolder() error { return errors.Join(os.RemoveAll(s.dir), s.lock.Unlock()) }
