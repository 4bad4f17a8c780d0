package transform

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// unpacker decompresses pages with a bound. Its memory is used again.
type unpacker struct {
	plain []byte
	gzip  *gzip.Reader
	zstd  *zstd.Decoder
}

var errUnpackedSize = errors.New("a page is larger than the limit once it is decompressed")

// unpack gives the content of a page, valid until the next; at most limit bytes.
func (u *unpacker) unpack(codec format.CompressionCodec, packed []byte, limit int64) ([]byte, error) {
	if codec == format.Uncompressed || len(packed) == 0 {
		return packed, nil
	}
	var err error
	switch codec {
	case format.Snappy:
		n, err := snappy.DecodedLen(packed)
		if err == nil && int64(n) > limit {
			err = errUnpackedSize
		}
		if err != nil {
			return nil, err
		}
		u.plain = grown(u.plain, n)
		return snappy.Decode(u.plain, packed)
	case format.Gzip:
		if u.gzip == nil {
			u.gzip = new(gzip.Reader)
		}
		if err = u.gzip.Reset(bytes.NewReader(packed)); err == nil {
			err = u.fill(u.gzip, limit)
		}
	case format.Zstd:
		if u.zstd == nil {
			u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)))
		}
		if err == nil {
			err = u.zstd.Reset(bytes.NewReader(packed))
		}
		if err == nil {
			err = u.fill(u.zstd, limit)
		}
	default:
		return nil, &unreadError{what: "compression " + codec.String(), expected: "pages without compression, or with snappy, gzip or zstd"}
	}
	return u.plain, err
}

// fill reads all of r.
func (u *unpacker) fill(r io.Reader, limit int64) error {
	u.plain = u.plain[:0]
	for {
		if len(u.plain) == cap(u.plain) {
			u.plain = append(u.plain, 0)[:len(u.plain)]
		}
		n, err := r.Read(u.plain[len(u.plain):cap(u.plain)])
		u.plain = u.plain[:len(u.plain)+n]
		switch {
		case int64(len(u.plain)) > limit:
			return errUnpackedSize
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
