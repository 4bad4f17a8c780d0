package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
)

// ValueName is what a transform that fails leaves where its manifest would
// lie, if the file's reports show values: the value at fault, on its way around
// all events to the report.
const ValueName = "value.json"

// failureValue is the content of that object.
type failureValue struct {
	Code   string `json:"code"`
	Row    int64  `json:"row"`
	Column string `json:"column"`
	Value  []byte `json:"value"`
}

// keepValue leaves the value at fault for the report. A repeated attempt finds
// it there.
func (t *transform) keepValue(ctx context.Context, err error) error {
	var f *Failure
	if !errors.As(err, &f) || f.Value == "" {
		return nil
	}
	data, err := json.Marshal(failureValue{Code: f.Code, Row: f.Row, Column: f.Column, Value: []byte(f.Value)})
	if err != nil {
		return fmt.Errorf("encode the value at fault: %w", err)
	}
	out, err := createHashed(ctx, t.deps.Staging, StagePrefix(t.job.Table.ID, t.job.File.ID, t.job.Token)+ValueName)
	if err != nil {
		return err
	}
	if _, err := out.Write(append(data, '\n')); err != nil {
		return errors.Join(fmt.Errorf("write the value at fault: %w", err), out.abort())
	}
	return out.commit(ctx)
}

// FailedValue gives the beginning of the value that a failure of a file is about,
// if the transform that failed has left it; nil if not.
func FailedValue(ctx context.Context, staging objects.Bucket, table dms.TableID, file dms.FileID, code string, row int64, column string) ([]byte, error) {
	prefix := url.PathEscape(table.DB) + "/" + url.PathEscape(table.Table) + "/" + url.PathEscape(string(file)) + "/"
	for info, err := range staging.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("look for the value at fault: %w", err)
		}
		if !strings.HasSuffix(info.Key, "/"+ValueName) {
			continue
		}
		data, err := readAll(ctx, staging, info.Key, maxFailureBytes)
		if err != nil {
			return nil, fmt.Errorf("read the value at fault: %w", err)
		}
		var v failureValue
		if err := json.Unmarshal(data, &v); err != nil {
			return nil, fmt.Errorf("read the value at fault from %s: %w", info.Key, err)
		}
		if v.Code == code && v.Row == row && v.Column == column {
			return v.Value, nil
		}
	}
	return nil, nil
}
