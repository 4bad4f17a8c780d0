package lockmanager

import (
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// fileOf makes the file that a classified one begins as.
func fileOf(ref *blotterv1.FileRef) *File {
	f := wire.FileOf(ref)
	return &File{ID: f.ID, Object: f.Object, Kind: f.Kind, Order: f.Order, Part: f.Part, Mending: f.Mending, Status: Waiting}
}

func (f *File) ref() *blotterv1.FileRef {
	return wire.FileRef(dms.File{ID: f.ID, Object: f.Object, Kind: f.Kind, Order: f.Order, Part: f.Part, Mending: f.Mending.Original()})
}

func (f *File) stagedRef() *blotterv1.StagedFile {
	return &blotterv1.StagedFile{
		FileId: string(f.ID), Token: f.Staged.Token,
		ManifestKey: f.Staged.ManifestKey, ManifestSha256: f.Staged.ManifestSHA256, Counts: f.Staged.Counts,
	}
}

func refs(files []*File) []*blotterv1.FileRef {
	out := make([]*blotterv1.FileRef, len(files))
	for i, f := range files {
		out[i] = f.ref()
	}
	return out
}
