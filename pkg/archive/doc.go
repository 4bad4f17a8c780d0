// Package archive keeps a signed copy of the event log, from which can be proven that
// nothing was changed, left out or reordered.
//
// # The tree
//
// Every sequence of the log is one leaf of a Merkle tree as RFC 6962 has it (SHA-256);
// leaf 0 is sequence 1, so that a leaf's place is its event's. A leaf is either an event
// or a gap, where the log held nothing when it was archived. Its bytes are, numbers
// big-endian, a text being its length in 4 bytes and then its bytes:
//
//	1 byte   version: 1
//	1 byte   'E' for an event, 'G' for a gap
//	8 bytes  sequence in the stream; a gap ends here
//	8 bytes  when the server stored it: nanoseconds since 1970 UTC
//	text     subject
//	4 bytes  number of headers
//	  text   name    of each, by name in the order of bytes,
//	  text   value   values of one name in the order in which they were sent
//	text     payload: the protobuf message blotter.v1.Envelope as it was published
//
// # The objects
//
//	spans/000000000000.parquet   the leaves of consecutive sequences
//	checkpoints/000000000000     what was signed when the span was closed
//	verifier-keys/1f3a5c7e       the verifier key, by its hash, to look and not to trust
//
// Spans count up from 0 without gaps; each is closed once and never written again. Its
// file has a row for each leaf. The columns sequence, gap, stored_ns, subject, headers
// (JSON: a list of [name, value]) and payload are the leaf, leaf_hash is its hash, and
// the others (stored, table, service, event, id, file, actor, cause) are read from it for
// those who query the files. The metadata blotter.span hold the span's number and bounds
// and the frontier of the tree at its end, from which the writer goes on.
//
// A checkpoint is a signed note (golang.org/x/mod/sumdb/note) in the form of C2SP
// tlog-checkpoint: origin, size, root. Two lines of extension follow:
//
//	span <number> <first sequence> <last sequence> <SHA-256 of the file, hex>
//	stored <oldest> <newest>
//
// so that every byte of the file is signed, and not only its leaves.
//
// # Writing
//
// The span's file comes first, the checkpoint after it; each is written only if it is
// not there. A span without checkpoint is no part of the archive: the next writer
// compares it with the log and signs it. Hence whatever step a writer dies at, the next
// ends with the same archive; and of writers at once all but one find their span taken
// and go on from it. Signatures have no chance in them, so that two who sign the same
// span with one key write the same bytes. A new tree grows from the frontier of the one
// before, which must give the signed root: it extends it, and Verify proves so again.
//
// # What it proves
//
// With the verifier key: that the archive is what was signed. Not that its newest spans
// were not taken away together with their checkpoints, and not that the owner of the key
// did not sign another history: against both, keep a checkpoint where he does not reach,
// and hold later archives to it.
package archive
