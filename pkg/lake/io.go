package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/iceberg-go"
	iceio "github.com/apache/iceberg-go/io"

	"github.com/openblotter/blotter/pkg/objects"
)

// propertyIO names, in the properties of a catalog, the IO that its tables use.
const propertyIO = "blotter.io"

// iceberg-go finds the IO of a location by its scheme in a process-wide
// registry, even inside its catalogs. One factory per scheme is put there; it
// tells the IOs apart by propertyIO.
var ioRegistry struct {
	sync.Mutex
	last    atomic.Int64
	byID    map[string]*IO
	schemes map[string]bool
}

// IO is iceberg-go's way to a warehouse: every location below a base URI is an
// object of a bucket. What it writes is durable when its Close returns.
type IO struct {
	bucket objects.Bucket
	base   string
	id     string
}

var (
	_ iceio.WriteFileIO = (*IO)(nil)
	_ iceio.ReadFileIO  = (*IO)(nil)
)

// NewIO maps base, such as "file:///var/lib/blotter/curated" or
// "s3://bucket/prefix", to the root of a bucket. Close it when no table of it is
// in use any more.
func NewIO(bucket objects.Bucket, base string) (*IO, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("warehouse location %q: expected a URI such as file:///path or s3://bucket/prefix", base)
	}
	ioRegistry.Lock()
	defer ioRegistry.Unlock()
	o := &IO{bucket: bucket, base: strings.TrimRight(base, "/"), id: strconv.FormatInt(ioRegistry.last.Add(1), 10)}
	if ioRegistry.byID == nil {
		ioRegistry.byID, ioRegistry.schemes = map[string]*IO{}, map[string]bool{}
	}
	if !ioRegistry.schemes[u.Scheme] {
		ioRegistry.schemes[u.Scheme] = true
		iceio.Unregister(u.Scheme)
		iceio.Register(u.Scheme, ioFactory)
	}
	ioRegistry.byID[o.id] = o
	return o, nil
}

// ioFactory finds the IO that a catalog's properties name; locations of other
// catalogs in this process are local files as before.
func ioFactory(_ context.Context, u *url.URL, props map[string]string) (iceio.IO, error) {
	ioRegistry.Lock()
	defer ioRegistry.Unlock()
	if o := ioRegistry.byID[props[propertyIO]]; o != nil {
		return o, nil
	}
	if u.Scheme == "file" && props[propertyIO] == "" {
		return iceio.LocalFS{}, nil
	}
	return nil, fmt.Errorf("no warehouse is open for %s locations", u.Scheme)
}

// Base is the URI of the warehouse, without "/" at its end.
func (o *IO) Base() string { return o.base }

// Bucket holds the warehouse's objects.
func (o *IO) Bucket() objects.Bucket { return o.bucket }

// Properties are what a catalog must be opened with for its tables to use o.
func (o *IO) Properties() iceberg.Properties {
	return iceberg.Properties{propertyIO: o.id, "warehouse": o.base}
}

// Close forgets o; tables that were loaded through it cannot be read further.
func (o *IO) Close() error {
	ioRegistry.Lock()
	defer ioRegistry.Unlock()
	delete(ioRegistry.byID, o.id)
	return nil
}

// URI is the location of an object of the warehouse.
func (o *IO) URI(key string) string { return o.base + "/" + key }

// Key is the inverse of URI. It also reads what other engines make of the same
// location: file:/path for file:///path, and percent-escapes.
func (o *IO) Key(location string) (string, error) {
	if key, ok := strings.CutPrefix(location, o.base+"/"); ok {
		return key, nil
	}
	base, path := localPath(o.base), localPath(location)
	for _, spelling := range [][2]string{{path, base}, {unescape(path), base}, {unescape(path), unescape(base)}} {
		if key, ok := strings.CutPrefix(spelling[0], spelling[1]+"/"); ok {
			return key, nil
		}
	}
	return "", fmt.Errorf("%s lies outside of the warehouse %s", location, o.base)
}

// localPath gives the path of a file URI in any spelling; other locations as they are.
func localPath(location string) string {
	rest, ok := strings.CutPrefix(location, "file:")
	if !ok {
		return location
	}
	return "/" + strings.TrimLeft(rest, "/")
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// Open reads an object.
func (o *IO) Open(name string) (iceio.File, error) {
	r, err := o.open(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return &ioFile{Reader: r}, nil
}

func (o *IO) open(name string) (objects.Reader, error) {
	key, err := o.Key(name)
	if err != nil {
		return nil, err
	}
	// iceberg-go's IO has no context; its callers bound the work above it.
	return o.bucket.Open(context.Background(), key, objects.Version{})
}

// ReadFile reads a whole object.
func (o *IO) ReadFile(name string) ([]byte, error) {
	r, err := o.open(name)
	if err != nil {
		return nil, pathError("read", name, err)
	}
	data, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, pathError("read", name, err)
	}
	return data, nil
}

// Create begins a new object; it is visible and durable once Close returns nil.
func (o *IO) Create(name string) (iceio.FileWriter, error) {
	key, err := o.Key(name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	w, err := o.bucket.Create(context.Background(), key)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	return &ioWriter{w: w, name: name}, nil
}

// WriteFile writes a whole object, durably.
func (o *IO) WriteFile(name string, data []byte) error {
	w, err := o.Create(name)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return errors.Join(pathError("write", name, err), w.(*ioWriter).w.Abort())
	}
	return w.Close()
}

// Remove deletes an object.
func (o *IO) Remove(name string) error {
	key, err := o.Key(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	if err := o.bucket.Remove(context.Background(), key); err != nil {
		return pathError("remove", name, err)
	}
	return nil
}

func pathError(op, name string, err error) error {
	if errors.Is(err, objects.ErrNotFound) {
		err = fs.ErrNotExist
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// ioFile adds to a reader what iceberg-go asks of files.
type ioFile struct {
	objects.Reader
	offset int64
}

// Read reads on from the last Seek.
func (f *ioFile) Read(p []byte) (int, error) {
	if f.offset >= f.Info().Size {
		return 0, io.EOF
	}
	n, err := f.ReadAt(p[:min(int64(len(p)), f.Info().Size-f.offset)], f.offset)
	f.offset += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek moves the place of the next Read.
func (f *ioFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.Info().Size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start of the object")
	}
	f.offset = offset
	return offset, nil
}

// Stat tells of the object.
func (f *ioFile) Stat() (fs.FileInfo, error) { return objectInfo{f.Info()}, nil }

type ioWriter struct {
	w    objects.Writer
	name string
	err  error
}

// Write appends to the object.
func (w *ioWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// ReadFrom appends all of r.
func (w *ioWriter) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, r)
}

// Close makes the object visible, unless a write failed before.
func (w *ioWriter) Close() error {
	if w.err != nil {
		return errors.Join(pathError("write", w.name, w.err), w.w.Abort())
	}
	if _, err := w.w.Commit(context.Background()); err != nil {
		return pathError("close", w.name, err)
	}
	return nil
}
