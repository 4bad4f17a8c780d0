package roles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// homeFile remembers where a folder lay when it was made.
const homeFile = "home.path"

// trueName gives the one name of a folder, however it is reached: the tables remember
// it. A folder that is not there has the name that it was given: whoever looks at a system
// whose places are elsewhere needs none.
func trueName(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the folder: %w", err)
	}
	name, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", fmt.Errorf("find the folder: %w", err)
	}
	return name, nil
}

// keepHome refuses a folder that was moved or copied: Iceberg metadata names
// its files by absolute paths, so that the tables of a copy would still be those
// of the original.
func (p *Process) keepHome() error {
	name := p.cfg.path(homeFile)
	home, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(name, []byte(p.cfg.Dir), 0o644); err != nil {
			return fmt.Errorf("remember where the folder lies: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("find out where the folder was made: %w", err)
	}
	if string(home) != p.cfg.Dir {
		return fmt.Errorf("the folder %s was made as %s, and its Iceberg tables name their files by that path: "+
			"use it there, or start with a new folder and take the files in again", p.cfg.Dir, home)
	}
	return nil
}
