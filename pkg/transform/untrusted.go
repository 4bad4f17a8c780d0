package transform

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// OpenUntrusted opens a Parquet file that anyone may have written, after every page of
// it was looked at: a forged size in it would have the library ask for more memory than
// there is. The error is ErrCorrupt. It is for files without nested columns.
func OpenUntrusted(r io.ReaderAt, size int64) (file *parquet.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			file, err = nil, fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}()
	guard := parquetGuard{r: r, size: size, limit: maxGroupMemory}
	if err := guard.footer(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if file, err = parquet.OpenFile(r, size, parquet.SkipBloomFilters(true)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	fields := file.Schema().Fields()
	for i := range file.Metadata().RowGroups {
		_, wide, err := guard.group(&file.Metadata().RowGroups[i], fields)
		if wide && err == nil {
			err = fmt.Errorf("its pages need more than %d MiB at once", maxGroupMemory>>20)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: row group %d: %w", ErrCorrupt, i, err)
		}
	}
	return file, nil
}
