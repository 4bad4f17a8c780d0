package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/openblotter/blotter/pkg/objects"
)

// writeManifest puts the manifest beside the files that it names: from then on
// the file is staged.
func writeManifest(ctx context.Context, bucket objects.Bucket, m Manifest) (*Result, error) {
	if err := m.Validate(); err != nil {
		return nil, fmt.Errorf("manifest of %s: %w", m.FileID, err)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode manifest of %s: %w", m.FileID, err)
	}
	key := StagePrefix(m.Table, m.FileID, m.Token) + ManifestName
	out, err := createHashed(ctx, bucket, key)
	if err != nil {
		return nil, err
	}
	if _, err := out.Write(append(data, '\n')); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", key, err), out.abort())
	}
	if err := out.commit(ctx); err != nil {
		return nil, err
	}
	return &Result{Manifest: m, ManifestKey: key, ManifestSHA256: out.sum()}, nil
}

// FindStaged looks for what an earlier attempt of the same job staged, by
// whatever engine; nil if there is no manifest. It fails with ErrCorrupt if the
// manifest is none of this job.
func FindStaged(ctx context.Context, bucket objects.Bucket, job Job) (*Result, error) {
	key := StagePrefix(job.Table.ID, job.File.ID, job.Token) + ManifestName
	data, err := readAll(ctx, bucket, key, maxManifestBytes)
	if errors.Is(err, objects.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", key, err)
	}
	m, err := decodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w: %w", key, ErrCorrupt, err)
	}
	if m.Table != job.Table.ID || m.FileID != job.File.ID || m.Token != job.Token || m.SpecVersion != job.Table.Version ||
		m.Kind != job.File.Kind || m.Order != job.File.Order || m.Part != job.File.Part ||
		m.Mending != job.File.Mending.Original() {
		return nil, fmt.Errorf("manifest %s: %w: it is of another job", key, ErrCorrupt)
	}
	return &Result{Manifest: m, ManifestKey: key, ManifestSHA256: hashBytes(data), Reused: true}, nil
}
