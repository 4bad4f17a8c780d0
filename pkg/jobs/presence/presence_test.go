package presence

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// account has some functions and jobs; others are missing, and one is not to be asked for.
type account struct{ asked []string }

var errDenied = errors.New("AccessDeniedException: not authorized")

func (a *account) GetFunctionConfiguration(_ context.Context, in *lambda.GetFunctionConfigurationInput, _ ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error) {
	a.asked = append(a.asked, *in.FunctionName)
	if *in.FunctionName == "blotter-transform" {
		return &lambda.GetFunctionConfigurationOutput{}, nil
	}
	return nil, &lambdatypes.ResourceNotFoundException{}
}

func (a *account) GetJob(_ context.Context, in *glue.GetJobInput, _ ...func(*glue.Options)) (*glue.GetJobOutput, error) {
	a.asked = append(a.asked, *in.JobName)
	switch *in.JobName {
	case "blotter-reports":
		return &glue.GetJobOutput{}, nil
	case "another":
		return nil, errDenied
	}
	return nil, &gluetypes.EntityNotFoundException{}
}

func table(name string, job registry.Job) registry.Table {
	return registry.Table{ID: dms.TableID{DB: "rms", Table: name}, Job: job}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	tables := []registry.Table{
		table("reports", registry.Job{Lambda: "blotter-transform", Glue: "blotter-reports"}),
		table("people", registry.Job{Lambda: "blotter-people-fn", Glue: "blotter-people"}),
		table("calls", registry.Job{Glue: "blotter-people"}),
		table("units", registry.Job{Glue: "another"}),
		table("notes", registry.Job{}),
	}
	a := &account{}
	notes := Missing(t.Context(), a, a, tables)
	want := []string{
		"rms.people names the function blotter-people-fn, and Lambda has none",
		"rms.units names the job another: whether it is there could not be asked: AccessDenied",
		"rms.people names the job blotter-people, and Glue has none",
	}
	if len(notes) != len(want) {
		t.Fatalf("%q, expected %q", notes, want)
	}
	for i, n := range notes {
		if !strings.HasPrefix(n, want[i]) {
			t.Errorf("%q, expected %q", n, want[i])
		}
	}
	if once := []string{"blotter-people-fn", "blotter-transform", "another", "blotter-people", "blotter-reports"}; !slices.Equal(a.asked, once) {
		t.Errorf("asked for %q, expected %q", a.asked, once)
	}
	if !Any(tables) || Any(tables[4:]) || Missing(t.Context(), nil, nil, tables[4:]) != nil {
		t.Error("a table that names nothing is asked for")
	}
}

// silent answers nothing of one function, and is well otherwise.
type silent struct{ account }

func (s *silent) GetFunctionConfiguration(ctx context.Context, in *lambda.GetFunctionConfigurationInput, more ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error) {
	if *in.FunctionName == "a-silent-one" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.account.GetFunctionConfiguration(ctx, in, more...)
}

// TestOneThatDoesNotAnswer keeps nobody from the answers of the others.
func TestOneThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := new(silent)
		notes := Missing(t.Context(), s, s, []registry.Table{
			table("reports", registry.Job{Lambda: "a-silent-one"}), table("people", registry.Job{Lambda: "blotter-people-fn"}), table("units", registry.Job{Glue: "blotter-reports"}),
		})
		if len(notes) != 2 || !strings.Contains(notes[0], "could not be asked") || !strings.Contains(notes[1], "Lambda has none") {
			t.Errorf("it says %q", notes)
		}
		if took := time.Since(began); took != Wait {
			t.Errorf("it takes %s", took)
		}
	})
}
