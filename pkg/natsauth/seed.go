package natsauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nkeys"
)

// seedEnd is how the names of files with seeds end.
const seedEnd = ".nk"

// SeedFile is where the seed of a user lies.
func SeedFile(dir, user string) string { return filepath.Join(dir, user+seedEnd) }

// UserOf is the user whose seed a file holds: the first word of its name.
func UserOf(file string) string {
	user, _, _ := strings.Cut(filepath.Base(file), ".")
	return user
}

// SeedFiles are the files with seeds in a folder, in the order of their names. The folder
// is read, not matched: its own name may have any letters.
func SeedFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for seeds: %w", err)
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), seedEnd) && UserOf(e.Name()) != "" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// Seed makes the seed of a user in its file, for the owner alone, unless it is there; it
// never writes over one. It gives the public keys of the user: that of the file and those
// of files beside it whose names have a word more, such as curator.old.nk, which are on
// their way out.
func Seed(dir, user string) (public []string, made bool, err error) {
	file := SeedFile(dir, user)
	if _, err = os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		made, err = true, makeSeed(dir, file)
	}
	if err != nil {
		return nil, false, fmt.Errorf("make the seed of %s: %w", user, err)
	}
	public, err = Public(dir, user)
	return public, made, err
}

// Public gives the public keys of the seeds of a user that are there, that of NAME.nk first.
func Public(dir, user string) (public []string, err error) {
	seeds, err := SeedFiles(dir)
	if err != nil {
		return nil, err
	}
	seeds = slices.DeleteFunc(seeds, func(f string) bool { return UserOf(f) != user })
	slices.SortStableFunc(seeds, func(a, b string) int { return len(a) - len(b) })
	for _, f := range seeds {
		key, err := publicOf(f)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(public, key) {
			public = append(public, key)
		}
	}
	return public, nil
}

// makeSeed puts a new seed into a file that must not be there, whole or not at all.
func makeSeed(dir, file string) (err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	defer pair.Wipe()
	seed, err := pair.Seed()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".seed-") // for its owner alone
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.Write(append(seed, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), file)
}

// publicOf gives the public key of the seed in a file.
func publicOf(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the seed of a NATS user: %w", err)
	}
	defer clear(b)
	pair, err := nkeys.ParseDecoratedUserNKey(b)
	if err != nil {
		return "", fmt.Errorf("%s holds no seed of a NATS user (a line that begins with SU), as `blotter nats users` makes them", file)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", fmt.Errorf("read the seed in %s: %w", file, err)
	}
	return public, nil
}
