package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/objects"
	"github.com/openblotter/blotter/pkg/transform"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// Outcome is what became of a plan's files: each is staged or refused for good.
type Outcome struct {
	Format int           `json:"format"`
	ID     string        `json:"id"` // of the plan
	Files  []FileOutcome `json:"files"`
}

// FileOutcome is what became of one file: one of Staged and Failure is set.
type FileOutcome struct {
	FileID  dms.FileID `json:"file_id"`
	Staged  *Staged    `json:"staged,omitempty"`
	Failure *Failure   `json:"failure,omitempty"`
}

// Staged is the proof of a transform; in JSON as protobuf maps it.
type Staged struct{ *blotterv1.StagedFile }

// Failure says why a file cannot be taken; in JSON as protobuf maps it.
type Failure struct{ *blotterv1.Failure }

// MarshalJSON gives the JSON form of the message.
func (s Staged) MarshalJSON() ([]byte, error) { return marshal(s.StagedFile) }

// UnmarshalJSON reads what MarshalJSON gives.
func (s *Staged) UnmarshalJSON(data []byte) error {
	s.StagedFile = &blotterv1.StagedFile{}
	return protojson.Unmarshal(data, s.StagedFile)
}

// MarshalJSON gives the JSON form of the message.
func (f Failure) MarshalJSON() ([]byte, error) { return marshal(f.Failure) }

// UnmarshalJSON reads what MarshalJSON gives.
func (f *Failure) UnmarshalJSON(data []byte) error {
	f.Failure = &blotterv1.Failure{}
	return protojson.Unmarshal(data, f.Failure)
}

func marshal(m proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(m)
	return json.RawMessage(data), err
}

// OutcomeOf makes the outcome of one file out of what its transform ended with;
// it gives an error that may pass back.
func OutcomeOf(file dms.FileID, result *transform.Result, err error) (FileOutcome, error) {
	var failure *transform.Failure
	switch {
	case errors.As(err, &failure):
		return FileOutcome{FileID: file, Failure: &Failure{failure.Proto()}}, nil
	case err != nil:
		return FileOutcome{}, err
	}
	return FileOutcome{FileID: file, Staged: &Staged{result.Staged()}}, nil
}

// Answer gives what a jobs.Runner answers for one file of the plan: its proof, or
// a *transform.Failure.
func (o Outcome) Answer(file dms.FileID) (*blotterv1.StagedFile, error) {
	for _, f := range o.Files {
		switch {
		case f.FileID != file:
		case f.Failure != nil:
			return nil, transform.FailureOf(f.Failure.Failure)
		case f.Staged != nil:
			return f.Staged.StagedFile, nil
		}
	}
	return nil, fmt.Errorf("the outcome of plan %s says nothing of file %s", o.ID, file)
}

// PutOutcome leaves the outcome beside its plan. One that is there already stays.
func PutOutcome(ctx context.Context, staging objects.Bucket, o Outcome) error {
	o.Format = Format
	return create(ctx, staging, Plan{ID: o.ID}.OutcomeKey(), o)
}

// GetOutcome reads what a run left. It fails with objects.ErrNotFound as long as
// no run of the plan has come to its end.
func GetOutcome(ctx context.Context, staging objects.Bucket, id string) (Outcome, error) {
	var o Outcome
	if err := read(ctx, staging, Plan{ID: id}.OutcomeKey(), &o); err != nil {
		return Outcome{}, err
	}
	if o.Format != Format || o.ID != id {
		return Outcome{}, fmt.Errorf("outcome of plan %s: it is of plan %s in format %d", id, o.ID, o.Format)
	}
	return o, nil
}
