package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/lifecycle"
	"github.com/openblotter/blotter/pkg/registry"
	ingestrouter "github.com/openblotter/blotter/services/ingest-router"
	"github.com/openblotter/blotter/tools/internal/roles"
	"github.com/openblotter/blotter/tools/internal/sample"
)

// The demo's folder, the file that marks a folder as a demo's, and what it keeps
// there beside what every system keeps.
const (
	demoDir    = "blotter-demo"
	demoMark   = "DEMO"
	demoDrop   = "drop"
	demoTables = "tables.yaml"
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make a believable drop of files, run it, and show what happened",
		Long: `Make the files that DMS would write for a dozen tables of a records system (all
people in it are invented): full loads in many files, changes with updates and
deletes, duplicates within and across files, files out of order and delivered
twice, a table that is loaded again, and one file that cannot be read. Run them
through the real system, show what happened, and check every row of every table
against what was generated.

It ends with 0 if all is as generated, the one quarantined file included. The
folder is kept, to look around in and to go on with; the next demo replaces it.
The same files and the same rows come every time.`,
		Example: `  blotter demo
  blotter demo --dir /tmp/demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), siteOf(cmd).dir, sample.DefaultConfig(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().String("dir", demoDir, "folder of the demo; a folder that no demo made must be empty")
	return cmd
}

// demonstration is one run of the demo.
type demonstration struct {
	dir     string // as the user named it
	drop    *sample.Drop
	process *roles.Process
	out     io.Writer
	started time.Time
}

// demo runs the demo in dir and reports whether all came as it was generated.
func demo(ctx context.Context, dir string, cfg sample.Config, out io.Writer) (err error) {
	d := &demonstration{dir: dir, out: out, started: time.Now()}
	if err := clearDemo(dir); err != nil {
		return err
	}
	if d.drop, err = sample.Write(ctx, filepath.Join(dir, demoDrop), cfg); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, demoTables), []byte(d.drop.Registration), 0o644); err != nil {
		return fmt.Errorf("write the registration: %w", err)
	}
	settings := roles.DefaultConfig()
	settings.Dir = dir
	// The demo puts files in place at once: none is ever half written.
	settings.Watch.StableFor = 20 * time.Millisecond
	if d.process, err = roles.Open(ctx, settings, newLogger(false)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.process.Close()) }()
	work, done := context.WithCancel(ctx)
	defer done()
	finished := false
	err = d.process.Run(work, lifecycle.Blocking("demo", func(ctx context.Context) error {
		if err := d.run(ctx); err != nil {
			return err
		}
		finished = true
		done()
		return nil
	}))
	if err == nil && !finished {
		return errors.New("the demo was stopped before its end; run it again, it begins anew")
	}
	return err
}

// clearDemo empties a folder that an earlier demo made, or makes a new one.
func clearDemo(dir string) (err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look at the folder of the demo: %w", err)
	}
	mark := filepath.Join(dir, demoMark)
	if len(entries) > 0 {
		if _, err := os.Stat(mark); err != nil {
			return fmt.Errorf("%s is not empty and no demo made it; name another folder with --dir", dir)
		}
	}
	lock, err := lifecycle.LockFolder(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := os.WriteFile(mark, []byte("Made by `blotter demo`, which replaces this folder when it runs again.\n"), 0o644); err != nil {
		return fmt.Errorf("mark the folder of the demo: %w", err)
	}
	for _, e := range entries {
		if e.Name() == demoMark || filepath.Ext(e.Name()) == ".lock" {
			continue // the folder stays marked and locked
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove what an earlier demo left: %w", err)
		}
	}
	return nil
}

// run registers the tables, delivers wave after wave, and tells.
func (d *demonstration) run(ctx context.Context) error {
	d.introduce()
	specs, err := registry.Parse([]byte(d.drop.Registration), demoTables)
	if err != nil {
		return err
	}
	r := runner{process: d.process, specs: specs}
	if err := r.register(ctx); err != nil {
		return err
	}
	if err := d.process.Settle(ctx); err != nil {
		return err
	}
	for wave := 1; wave <= d.drop.Waves(); wave++ {
		if err := d.deliver(ctx, wave); err != nil {
			return fmt.Errorf("wave %d: %w", wave, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(d.dir, demoDrop)); err != nil {
		return fmt.Errorf("remove the empty folders of the drop: %w", err)
	}
	return d.conclude(ctx)
}

// deliver puts the files of a wave into the raw folder and tells of each, as the
// bucket's events would; then it takes the raw folder as complete, which seals
// full loads.
func (d *demonstration) deliver(ctx context.Context, wave int) error {
	started, files := time.Now(), 0
	for _, f := range d.drop.Files {
		if f.Wave != wave {
			continue
		}
		files++
		if err := d.drop.Place(f, filepath.Join(d.dir, roles.RawDir)); err != nil {
			return err
		}
		info, err := d.process.Raw.Stat(ctx, f.Key)
		if err != nil {
			return fmt.Errorf("look at %s: %w", f.Key, err)
		}
		_, err = d.process.IngestRouter.Offer(ctx, dms.Object{
			Bucket: d.process.Raw.Name(), Key: f.Key, ETag: info.ETag, Size: info.Size, LastModified: info.LastModified.UTC(),
		}, ingestrouter.FromEvent)
		if err != nil {
			return err
		}
	}
	if err := d.process.Settle(ctx); err != nil {
		return err
	}
	if err := d.process.WholeFiles(ctx); err != nil {
		return err
	}
	_, err := d.process.IngestRouter.List(ctx, ingestrouter.ListRequest{
		ID: nuid.Next(), Actor: operator(), Reason: fmt.Sprintf("demo, wave %d", wave), Complete: true,
	})
	if err != nil {
		return err
	}
	if err := d.process.Settle(ctx); err != nil {
		return err
	}
	d.told(wave, files, time.Since(started))
	return nil
}

// conclude compares everything with what was generated, and tells.
func (d *demonstration) conclude(ctx context.Context) error {
	found, err := d.examine(ctx)
	if err != nil {
		return err
	}
	d.printTables(found)
	if !found.asGenerated() {
		return found.differences()
	}
	d.printQuarantine(found)
	return d.printWays()
}
