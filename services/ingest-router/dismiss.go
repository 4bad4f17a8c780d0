package ingestrouter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/openblotter/blotter/pkg/control"
	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/wire"
	blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"
)

// reasonDismissed is why an object is ignored that an operator does not want.
const reasonDismissed = "dismissed"

// dismissTimeout bounds the work on one request.
const dismissTimeout = time.Minute

// DismissRequest has held objects ignored for good.
type DismissRequest struct {
	Actor  string `json:"actor"`  // who: "operator:<name>"
	Reason string `json:"reason"` // why; it stands in the log, and must be given
	// Objects names them: a key, a folder that ends in a slash, or <schema>.<table>
	// for parts of transaction files.
	Objects string `json:"objects"`
}

// Dismissed is the answer.
type Dismissed struct {
	Objects int64  `json:"objects"`           // how many are ignored from now on
	Refused string `json:"refused,omitempty"` // why nothing was done, and what to do
}

// Dismiss says of held objects that they are ignored. They stay so when their
// table is registered later; other versions of them are objects of their own.
func (s *Service) Dismiss(ctx context.Context, r DismissRequest) (Dismissed, error) {
	switch {
	case r.Reason == "":
		return Dismissed{Refused: "say with --reason why nobody wants them: it stands in the log"}, nil
	case r.Objects == "":
		return Dismissed{Refused: "name a key, a folder with a slash at its end, or <schema>.<table>"}, nil
	}
	var done Dismissed
	// Rows that stay held stay in the result: the batch grows until it holds them all.
	for limit := resumeBatch; ; limit *= 2 {
		rows, err := s.deps.Objects.ObjectsIn(ctx, control.ObjectHeld, limit)
		if err != nil {
			return done, fmt.Errorf("list held objects: %w", err)
		}
		for _, row := range rows {
			if !isMeant(row, r.Objects) {
				continue
			}
			err := s.tell(ctx, row, dismissed(row, r))
			if errors.Is(err, control.ErrConflict) {
				continue // its table was registered meanwhile, or another has dismissed it
			}
			if err != nil {
				return done, fmt.Errorf("dismiss %s: %w", row.Object.Key, err)
			}
			done.Objects++
		}
		if len(rows) < limit {
			break
		}
	}
	if done.Objects == 0 {
		done.Refused = fmt.Sprintf("no held object is named by %q; see `blotter held list`", r.Objects)
	}
	return done, nil
}

// isMeant reports whether a name that an operator gave is one of a held object.
func isMeant(row control.ObjectRow, name string) bool {
	switch {
	case !row.Part.IsZero() && row.Part.String() == name:
		return true
	case strings.HasSuffix(name, "/"):
		return strings.HasPrefix(row.Object.Key, name)
	}
	return row.Object.Key == name
}

func dismissed(row control.ObjectRow, r DismissRequest) verdict {
	v := ignored(row.FileID, row.Object, dms.NotData{Reason: reasonDismissed, Detail: r.Reason})
	v.actor = r.Actor
	if !row.Part.IsZero() {
		v.event.(*blotterv1.ObjectIgnored).Part = wire.Part(row.Part)
	}
	return v
}
