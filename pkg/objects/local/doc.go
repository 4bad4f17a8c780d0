// Package local keeps a bucket in a folder.
//
// # Keys and files
//
// The parts of a key are folders and a file of the same names: the folder into
// which another program drops files is a bucket as it stands, whatever spaces,
// "+", "%" or letters its names hold. Only what a file system cannot hold as
// it is gets another name: an empty part (so of "a//b" and of "a/"), ".",
// "..", a part with a NUL or one that begins with ".blotter-" is stored as
// ".blotter-key-" and the part in percent-encoding. A file whose name is no
// UTF-8 is listed with the part ".blotter-bytes-" and the name in
// percent-encoding. Both ways the mapping is one to one. A part of more than
// 255 bytes, and a key that runs through another object ("a" and "a/b"), cannot
// be stored: ErrKey. On a file system that ignores case, keys that differ in
// case alone are one key.
//
// Nothing outside the folder is read or written. A symbolic link to a file is an
// object if it is relative and stays inside the folder; a link to a folder is
// not followed in listings, so that a loop ends nothing; all other links,
// sockets, pipes and devices are no objects.
//
// # Writing
//
// An object is written to a file in the folder .blotter-tmp, fsynced, linked to
// its name, which fails if the name is taken, and its folder is fsynced, as are
// the parents of folders that were made for it. A writer that dies leaves a
// temporary file and nothing else. The next New removes it: every temporary
// file is locked by its writer, and the lock goes with the process, so that a
// file that can be locked belongs to nobody. (Where the file system has no
// locks, files older than a day are removed.) Remove does not wait for the
// disk: a loss of power may bring an object back.
//
// # Versions
//
// The ETag is the SHA-256 of the content in hex; there are no version ids. It
// is computed when it is asked for and remembered, bounded, as long as size,
// modification time, change time and inode stay; for a file that was changed
// in the last two seconds it is not remembered, because a second change might
// leave the same times. Open with an ETag compares it before the first byte
// (hashing the file if its ETag is not remembered); when a sequential read of
// a pinned version ends, size and modification time are compared once more.
//
// # Options
//
// A bucket that only Blotter writes is Immutable: what is there is never
// changed in place, ETags are remembered from the start, and Copy between two
// such buckets makes a hard link. All other copies copy bytes, hashing them: a
// hard link to a raw file would change with it. A ReadOnly bucket is never
// written, not even its .blotter-tmp.
package local
