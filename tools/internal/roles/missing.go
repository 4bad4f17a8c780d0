package roles

import (
	"context"
	"time"

	awsglue "github.com/aws/aws-sdk-go-v2/service/glue"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/openblotter/blotter/pkg/jobs/presence"
	"github.com/openblotter/blotter/pkg/registry"
)

// askingTimeout bounds how long all functions and jobs are asked for, of which there may be
// one for each table. Those that were not reached by then are told as not asked for.
const askingTimeout = 2 * time.Minute

// MissingJobs says which functions and jobs that tables name are not there, and which could
// not be asked for. It asks where they would be run: where raw, staged and failed objects
// lie on S3. Each has presence.Wait to answer, and all of them together askingTimeout.
func MissingJobs(ctx context.Context, cfg Config, tables []registry.Table) []string {
	for _, place := range []string{"raw", "staging", "failed"} {
		if a, err := cfg.address(place); err != nil || a.scheme != schemeS3 {
			return nil
		}
	}
	if !presence.Any(tables) {
		return nil
	}
	to, err := (&opener{cfg: cfg}).toAWS(ctx)
	if err != nil {
		return []string{"whether the functions and jobs that tables name are there could not be asked: " + err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, askingTimeout)
	defer cancel()
	return presence.Missing(ctx, awslambda.NewFromConfig(to), awsglue.NewFromConfig(to), tables)
}
