package lake

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/apache/iceberg-go/table"
)

// DamagedError: an object that a table needs is gone, or is not what it was. It may pass
// where a step of maintenance has just removed the object, of which a table that is loaded
// again no longer knows; else it stays until the object is put back.
type DamagedError struct {
	Location string // as the table names it
	Err      error
}

// Error says where and what.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s, which the table needs, is gone or damaged: %v", e.Location, e.Err)
}

// Unwrap gives what was met.
func (e *DamagedError) Unwrap() error { return e.Err }

// Damage is for catalogs: it tells why a table could not be loaded whose metadata is at a
// location. That is a *DamagedError if they are gone or cannot be understood, else err.
func Damage(io *IO, location string, err error) error {
	data, readErr := io.ReadFile(location)
	switch {
	case errors.Is(readErr, fs.ErrNotExist):
		return &DamagedError{Location: location, Err: readErr}
	case readErr != nil || strings.Contains(location, ".gz"):
		return err
	}
	if _, parseErr := table.ParseMetadataBytes(data); parseErr != nil {
		return &DamagedError{Location: location, Err: parseErr}
	}
	return err
}

// gone makes a *DamagedError of the lack of an object of the warehouse that iceberg-go asked
// for. The lack of other files, such as the folder for scratch files, is none.
func (o *IO) gone(err error) error {
	var path *fs.PathError
	if damaged := (*DamagedError)(nil); errors.As(err, &damaged) || !errors.As(err, &path) || !errors.Is(path, fs.ErrNotExist) {
		return err
	}
	if _, outside := o.Key(path.Path); outside != nil {
		return err
	}
	return &DamagedError{Location: path.Path, Err: err}
}
