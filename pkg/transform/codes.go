package transform

// The stable codes of failures. CSV faults carry the codes of package dms
// ("csv.not_utf8" and others).
const (
	CodeObjectGone     = "object.gone"    // the raw object is no longer there
	CodeObjectChanged  = "object.changed" // it is there in another version
	CodeGzip           = "file.gzip"
	CodeKind           = "file.kind"   // a kind of file that the table does not take
	CodePart           = "file.part"   // a transaction file without rows of the table
	CodeFormat         = "file.format" // not readable in the registered format, or named like one of another
	CodeLayout         = "file.layout" // no layout matches a headerless file
	CodeHeader         = "file.header" // a column stands twice, or there is no header
	CodeColumnUnknown  = "file.column_unknown"
	CodeColumnMissing  = "file.column_missing"    // key, Op, sequence or timestamp
	CodeColumnType     = "file.column_type"       // a typed column that does not fit the table's
	CodeTooManyBadRows = "file.too_many_bad_rows" // more than are set aside one by one
	CodeOnlyBadRows    = "file.only_bad_rows"     // none that is good, where they are set aside one by one
	CodeColumnCount    = "row.column_count"
	CodeOpMissing      = "row.op_missing"
	CodeOpUnknown      = "row.op_unknown"
	CodeOpNoKey        = "row.op_without_key" // U or D in a table without a key
	CodeSequence       = "row.change_seq"
	CodeCommitTime     = "row.timestamp"
	CodeKeyNull        = "row.key_null"
	// Of a transaction file: a row that names no table, and more tables than may be.
	CodeTransactionTable  = "txn.table"
	CodeTransactionTables = "txn.tables"
	CodeBoolean           = "value.boolean"
	CodeInteger           = "value.integer"
	CodeFloat             = "value.float"
	CodeDecimal           = "value.decimal"
	CodeDate              = "value.date"
	CodeTimestamp         = "value.timestamp"
	CodeBinary            = "value.binary"
	CodeText              = "value.text" // not UTF-8
)
