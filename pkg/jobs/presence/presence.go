// Package presence looks whether the functions of Lambda and the jobs of Glue that tables name
// are there: a wrong name would else be told of when a first file pauses its table.
//
// Permissions: lambda:GetFunctionConfiguration on the functions, glue:GetJob on the jobs.
package presence

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/glue"
	gluetypes "github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/openblotter/blotter/pkg/dms"
	"github.com/openblotter/blotter/pkg/registry"
)

// Lambda is what is asked of Lambda.
type Lambda interface {
	GetFunctionConfiguration(context.Context, *lambda.GetFunctionConfigurationInput, ...func(*lambda.Options)) (*lambda.GetFunctionConfigurationOutput, error)
}

// Glue is what is asked of Glue.
type Glue interface {
	GetJob(context.Context, *glue.GetJobInput, ...func(*glue.Options)) (*glue.GetJobOutput, error)
}

// Any reports whether one of the tables names a function or a job.
func Any(tables []registry.Table) bool {
	return slices.ContainsFunc(tables, func(t registry.Table) bool { return t.Job != registry.Job{} })
}

// Wait bounds the wait for one answer: an endpoint that gives none must not keep the others
// from being asked.
const Wait = 10 * time.Second

// Missing says of each function and job that tables name and that is not there which it is,
// and of each that could not be looked at, why. Each is asked for once, and waited for no
// longer than Wait.
func Missing(ctx context.Context, functions Lambda, jobs Glue, tables []registry.Table) []string {
	ofFunction, ofJob := map[string]dms.TableID{}, map[string]dms.TableID{} // the first table that names it
	for _, t := range slices.Backward(tables) {
		if t.Job.Lambda != "" {
			ofFunction[t.Job.Lambda] = t.ID
		}
		if t.Job.Glue != "" {
			ofJob[t.Job.Glue] = t.ID
		}
	}
	var notes []string
	for _, name := range slices.Sorted(maps.Keys(ofFunction)) {
		asking, cancel := context.WithTimeout(ctx, Wait)
		_, err := functions.GetFunctionConfiguration(asking, &lambda.GetFunctionConfigurationInput{FunctionName: &name})
		cancel()
		var none *lambdatypes.ResourceNotFoundException
		notes = append(notes, note(ofFunction[name], "function", name, "Lambda", errors.As(err, &none), err)...)
	}
	for _, name := range slices.Sorted(maps.Keys(ofJob)) {
		asking, cancel := context.WithTimeout(ctx, Wait)
		_, err := jobs.GetJob(asking, &glue.GetJobInput{JobName: &name})
		cancel()
		var none *gluetypes.EntityNotFoundException
		notes = append(notes, note(ofJob[name], "job", name, "Glue", errors.As(err, &none), err)...)
	}
	return notes
}

// note says what an answer comes to; nothing where all is well.
func note(table dms.TableID, what, name, of string, missing bool, err error) []string {
	switch {
	case err == nil:
		return nil
	case missing:
		return []string{fmt.Sprintf("%s names the %s %s, and %s has none: make it, or mend the name, before the first file comes, which would pause the table", table, what, name, of)}
	}
	return []string{fmt.Sprintf("%s names the %s %s: whether it is there could not be asked: %v", table, what, name, err)}
}
