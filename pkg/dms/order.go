package dms

// OrderMode is what orders the changes of a table inside a generation; one
// mode for a table and generation.
type OrderMode uint8

// The modes; the zero value is none of them.
const (
	OrderByChangeSeq OrderMode = iota + 1 // AR_H_CHANGE_SEQ: 35 digits, compared as text
	OrderByTimestamp                      // the commit timestamp, UTC microseconds
	OrderByFile                           // file order alone
)

// FileOrder is a file's place among the files of its table. Bytes compare as
// meant: the time in the name (of a load file its number), padded; then
// LastModified; then the file id.
type FileOrder string

// Position is a row's place in the total order of a table's generation, its row
// number apart: rows compare by (Position, row number). Bytes compare as meant:
// load rows first, then changes by the mode's column, then file order. All rows
// of a file in OrderByFile, and all rows of a load file, share one Position.
type Position string
