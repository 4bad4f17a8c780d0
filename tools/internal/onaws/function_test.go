package onaws

import (
	"archive/zip"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/openblotter/blotter/pkg/awsconfig/awstest"
)

// createFunction builds the Lambda function and has Lambda take it, under a name that no
// other test uses; it finds AWS at an address.
func createFunction(t *testing.T, endpoint string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bootstrap")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", path,
		"github.com/openblotter/blotter/services/lambda-transformer/function")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the function: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err == nil {
		_, err = w.Write(program)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	client := awslambda.NewFromConfig(awstest.Config(t))
	name := awstest.Name(t)
	_, err = client.CreateFunction(t.Context(), &awslambda.CreateFunctionInput{
		FunctionName: &name, Runtime: types.RuntimeProvidedal2023, Handler: aws.String("bootstrap"), PackageType: types.PackageTypeZip,
		Role: aws.String("arn:aws:iam::000000000000:role/blotter-transform"), Code: &types.FunctionCode{ZipFile: archive.Bytes()},
		MemorySize: aws.Int32(1024), Timeout: aws.Int32(60),
		Environment: &types.Environment{Variables: map[string]string{"AWS_ENDPOINT_URL": endpoint}},
	})
	if err != nil {
		t.Fatal(err)
	}
	waiter := awslambda.NewFunctionActiveV2Waiter(client, func(o *awslambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 100 * time.Millisecond })
	if err := waiter.Wait(t.Context(), &awslambda.GetFunctionInput{FunctionName: &name}, commandTimeout); err != nil {
		t.Fatal(err)
	}
	return name
}
