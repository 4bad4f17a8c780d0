package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newSecrets() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "secrets --out DIR FILE=VARIABLE…",
		Short: "Write secrets that a container is given as variables into files",
		Long: `Write the value of each environment variable into a file of the folder, which only its
own user can read. It is for a container that starts before the others of its task, ends,
and leaves them the folder: so what is secret stands in no environment of a process that
goes on running, and the image needs no shell.

A variable that is missing or empty is an error, and nothing is written then. Nothing of
what is written is printed. Files that are there are replaced.`,
		Example: `  blotter secrets --out /run/secrets user.nk=SEED ca.pem=CA`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeSecrets(out, args, os.LookupEnv, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the folder, which must be there")
	needsFlag(cmd, "out", "name the folder with --out DIR")
	return cmd
}

// secretFile is one file and what goes into it.
type secretFile struct{ name, value string }

// readSecrets reads FILE=VARIABLE… and reports all faults together.
func readSecrets(args []string, lookup func(string) (string, bool)) ([]secretFile, error) {
	var files []secretFile
	var faults []error
	for n, arg := range args { // none is shown: a secret may stand in the place of a variable
		name, variable, is := strings.Cut(arg, "=")
		value, _ := lookup(variable)
		switch {
		case !is || variable == "":
			faults = append(faults, fmt.Errorf("argument %d: expected FILE=VARIABLE", n+1))
		case name == "" || name != filepath.Base(name) || strings.HasPrefix(name, "."):
			faults = append(faults, fmt.Errorf("argument %d: expected the name of a file before =, without a folder", n+1))
		case value == "":
			faults = append(faults, fmt.Errorf("argument %d: the environment lacks the variable that it names behind =: does the secret have a value?", n+1))
		}
		files = append(files, secretFile{name, value})
	}
	return files, errors.Join(faults...)
}

func writeSecrets(dir string, args []string, lookup func(string) (string, bool), out io.Writer) error {
	files, err := readSecrets(args, lookup)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := writeSecret(filepath.Join(dir, f.name), f.value); err != nil {
			return fmt.Errorf("write a secret: %w", err)
		}
	}
	fmt.Fprintf(out, "%s written into %s\n", count(len(files), "file"), dir)
	return nil
}

// writeSecret writes a file beside its place and moves it there: whoever waits for it sees
// it whole.
func writeSecret(path, value string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Chmod(0o400), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
