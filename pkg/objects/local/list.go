package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/openblotter/blotter/pkg/objects"
)

// readBatch is how many entries of a folder are taken at once.
const readBatch = 512

// entry is one file or folder, small enough to hold all those of a big folder.
type entry struct {
	part  string // of the key; of a folder with its slash
	name  string // of the file
	stamp stamp
	link  bool // a symbolic link: stamp is not yet that of its target
}

func (e entry) isFolder() bool { return strings.HasSuffix(e.part, "/") }

// visitor is told what a walk finds.
type visitor struct {
	// object is called for each object, in key order; false ends the walk.
	object func(key, name string, s stamp) bool
	// skip is called for what cannot be listed, with the reason; an error ends the walk.
	skip func(name string, reason error) error
}

// List implements objects.Bucket. It holds the names of the folders on the way
// to where it is, not those of the whole bucket. Links that lead nowhere and
// what is neither file nor folder is left out.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[objects.Info, error] {
	return func(yield func(objects.Info, error) bool) {
		_, err := b.walk(ctx, span{prefix: prefix}, visitor{
			object: func(key, name string, s stamp) bool {
				etag := ""
				if sum, ok := b.etags.get(name, b.identity(s)); ok {
					etag = sum.String()
				}
				return yield(infoOf(key, s, etag), nil)
			},
			skip: func(_ string, reason error) error {
				if errors.Is(reason, errNoObject) {
					return nil
				}
				return reason
			},
		})
		if err != nil {
			yield(objects.Info{}, fmt.Errorf("list objects %q of bucket %s: %w", prefix, b.name, err))
		}
	}
}

// errNoObject: there is something, but no object.
var errNoObject = errors.New("no object")

// span are the keys that begin with prefix and lie behind after; any lie behind "".
type span struct{ prefix, after string }

// has reports whether an object of this key is among them.
func (s span) has(key string) bool { return strings.HasPrefix(key, s.prefix) && key > s.after }

// hasBelow reports whether some may lie in a folder, whose key ends in its slash.
func (s span) hasBelow(folder string) bool {
	return (strings.HasPrefix(folder, s.prefix) || strings.HasPrefix(s.prefix, folder)) &&
		(folder > s.after || strings.HasPrefix(s.after, folder))
}

// walk visits the objects of a span of keys. It reports false if the visitor ended it.
func (b *Bucket) walk(ctx context.Context, keys span, v visitor) (bool, error) {
	if err := b.checkFolder(); err != nil {
		return false, err
	}
	dir, base := currentPath, ""
	if i := strings.LastIndexByte(keys.prefix, '/'); i >= 0 {
		path, err := pathOfParts(keys.prefix[:i])
		if err != nil {
			return true, nil // no key can begin so
		}
		dir, base = path, keys.prefix[:i+1]
	}
	return b.walkFolder(ctx, dir, base, keys, v)
}

// checkFolder notices that the folder was removed or replaced: what is open
// would look empty for ever.
func (b *Bucket) checkFolder() error {
	own, err := b.root.Stat(currentPath)
	if err != nil {
		return err
	}
	there, err := os.Stat(b.dir)
	if err != nil {
		return err
	}
	if !os.SameFile(own, there) {
		return fmt.Errorf("folder %s is not the one that was opened: it was replaced or mounted over; start again", b.dir)
	}
	return nil
}

// walkFolder visits the folder dir, whose keys begin with base.
func (b *Bucket) walkFolder(ctx context.Context, dir, base string, keys span, v visitor) (bool, error) {
	entries, err := b.readFolder(ctx, dir, base, keys, v)
	if err != nil {
		if ctx.Err() != nil {
			return false, err
		}
		if dir == currentPath {
			return false, err
		}
		if isMissing(err) {
			return true, nil // gone since its parent was read, or never there
		}
		return true, v.skip(dir, err)
	}
	for _, e := range entries {
		name := join(dir, e.name)
		var goOn bool
		switch {
		case e.isFolder():
			goOn, err = b.walkFolder(ctx, name, base+e.part, keys, v)
		case e.link:
			goOn, err = b.visitLink(base+e.part, name, v)
		default:
			goOn = v.object(base+e.part, name, e.stamp)
		}
		if err != nil || !goOn {
			return goOn, err
		}
	}
	return true, nil
}

func join(dir, name string) string {
	if dir == currentPath {
		return name
	}
	return dir + "/" + name
}

// readFolder reads the entries of a folder that are among the keys, or may hold some, in
// the order of their keys: a folder sorts with its slash.
func (b *Bucket) readFolder(ctx context.Context, dir, base string, keys span, v visitor) ([]entry, error) {
	f, err := b.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []entry
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, err := f.ReadDir(readBatch)
		for _, d := range batch {
			part, named := partOf(d.Name())
			if named && !(d.IsDir() && keys.hasBelow(base+part+"/") || !d.IsDir() && keys.has(base+part)) {
				continue // before anything is asked of it: a scan may go on at the end of a big folder
			}
			e, reason := entryOf(d)
			if reason != nil {
				if isMissing(reason) || dir == currentPath && d.Name() == tempFolder {
					continue
				}
				if err := v.skip(join(dir, d.Name()), reason); err != nil {
					return nil, err
				}
				continue
			}
			entries = append(entries, e)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.part, b.part) })
	return entries, nil
}

func entryOf(d os.DirEntry) (entry, error) {
	part, ok := partOf(d.Name())
	if !ok {
		return entry{}, fmt.Errorf("%w: names that begin with %q are reserved", errNoObject, reserved)
	}
	e := entry{part: part, name: d.Name()}
	switch d.Type() {
	case fs.ModeDir:
		e.part += "/"
		return e, nil
	case fs.ModeSymlink:
		e.link = true
		return e, nil
	case 0:
		info, err := d.Info()
		if err != nil {
			return entry{}, err
		}
		e.stamp = stampOf(info)
		return e, nil
	}
	return entry{}, fmt.Errorf("%w: it is neither file nor folder", errNoObject)
}

// visitLink visits what a symbolic link leads to, if that is a file of the bucket.
func (b *Bucket) visitLink(key, name string, v visitor) (bool, error) {
	info, err := b.root.Stat(name)
	switch {
	case err != nil:
		return true, v.skip(name, fmt.Errorf("%w: a symbolic link that leads to no file of the bucket: %w", errNoObject, err))
	case !info.Mode().IsRegular():
		return true, v.skip(name, fmt.Errorf("%w: a symbolic link to a folder is not followed", errNoObject))
	}
	return v.object(key, name, stampOf(info)), nil
}
