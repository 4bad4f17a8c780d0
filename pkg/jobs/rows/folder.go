package rows

import (
	"context"
	"fmt"
	"net/url"

	"github.com/openblotter/blotter/pkg/jobs/plan"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/objects/local"
)

// FolderPlace names a local bucket for a plan.
func FolderPlace(b *local.Bucket) plan.Place {
	return plan.Place{Name: b.Name(), URI: (&url.URL{Scheme: "file", Path: b.Dir()}).String()}
}

// FolderURI gives the address of an object in a local bucket, every byte that means
// something in an address escaped.
func FolderURI(b *local.Bucket, key string) string {
	return (&url.URL{Scheme: "file", Path: b.Dir() + "/" + key}).String()
}

// OpenFolder opens the local bucket that FolderPlace named.
func OpenFolder(_ context.Context, p plan.Place, readOnly bool) (objects.Bucket, func() error, error) {
	u, err := url.Parse(p.URI)
	if err != nil || u.Scheme != "file" || u.Host != "" || u.Path == "" {
		return nil, nil, fmt.Errorf("open bucket %s: %s is no file:///FOLDER", p.Name, p.URI)
	}
	option := local.Immutable()
	if readOnly {
		option = local.ReadOnly()
	}
	b, err := local.New(p.Name, u.Path, option)
	if err != nil {
		return nil, nil, err
	}
	return b, b.Close, nil
}

var _ Open = OpenFolder
