package roles

import (
	"testing"

	"github.com/openblotter/blotter/pkg/jobs/lambda/invocation"
	lockmanager "github.com/openblotter/blotter/services/lock-manager"
)

// TestOutgrew: lock-manager, which knows no engine, reads the codes of the runner of Lambda.
func TestOutgrew(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		invocation.CodeTimeout: true, invocation.CodeOutOfMemory: true, "lambda.failed": false, "csv.column_count": false, "": false,
	} {
		if lockmanager.Outgrew(code) != want {
			t.Errorf("%q: expected %v", code, want)
		}
	}
}
