//go:build !unix

package local

import (
	"errors"
	"os"
)

func lockFile(*os.File) error { return errors.ErrUnsupported }
