// Package transform turns the rows of one DMS file into the last change per
// key, staged as Parquet with a manifest. It links neither iceberg-go nor
// arrow, so that a Lambda function stays small.
//
// The way of a file (Run): the raw object is read in its pinned version and
// hashed; rows are checked and parsed by the registration (CSV and flat Parquet
// by the same rules); changes are sorted by key, position and row, spilling
// sorted runs to scratch files beyond a memory budget; the last change of each
// key is encoded, column by column, into rows files (I and U) and deletes files
// (D, and keys that an update left); the manifest is written last, and only with
// it the file counts as staged.
//
// What holds:
//   - Values are taken exactly or the file is refused whole, with the first bad
//     row and how many fail in the same way. Nothing is rounded, cut or guessed.
//   - With on_bad_row: quarantine a row that cannot be taken is set aside instead:
//     rejected files hold it beside what is wrong with it (RejectedHeader,
//     RejectedRow), and the manifest names and counts them. What breaks the file as
//     a whole still refuses it, and so do more than MaxRejectedRows bad rows, or
//     none that is good.
//   - Rows that an operator mended (MendedRow) are read by the same rules as the
//     file that they belong to, and keep their numbers and positions of it. They
//     come in all together or not at all.
//   - The staged bytes depend on input, registration and engine version alone,
//     never on memory, speed or the number of processors.
//   - A key that an update moved (before-image) is deleted at the update's own
//     position and row.
//   - Changes of a key with equal positions fall to the row number; in change
//     files of a table ordered by sequence or timestamp they are counted as
//     ambiguous ties.
//   - Load rows, and rows of files without an Op column, are inserts where they
//     say nothing else. Without a primary key all rows are kept in file order.
//   - A column that the file brings and nobody registered is an optional column of
//     the staged rows: text in CSV, of the file's own type in Parquet. A Parquet
//     file may widen a registered type as Iceberg promotes; CSV has the registered
//     types only. The manifest's schema tells, and the lake follows.
//   - A column that the file lacks, or a not-null column outside of the key that
//     is empty, is null.
package transform
