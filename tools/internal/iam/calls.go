package iam

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Call is a permission that a request needs: an action on a resource. Without a
// resource any that the role has the action on will do: the request names it by a secret.
type Call struct{ Action, Resource string }

// Account is where the resources of requests lie.
type Account struct{ Partition, Region, ID string }

func (a Account) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", a.Partition, service, a.Region, a.ID, resource)
}

// scope is the service in the Authorization header of a signed request (Signature
// Version 4): Credential=KEY/DATE/REGION/SERVICE/aws4_request.
var scope = regexp.MustCompile(`Credential=[^/]+/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request`)

// Needs says what a signed request to AWS needs, and which operation it is:
// "s3.PutObject". body is its whole body, empty for S3 will do.
func (a Account) Needs(r *http.Request, body []byte) (operation string, calls []Call, err error) {
	m := scope.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return "", nil, fmt.Errorf("%s %s is not signed", r.Method, r.URL)
	}
	switch service := m[1]; service {
	case "s3":
		operation, calls = a.s3(r)
	case "lambda":
		operation, calls = a.lambda(r)
	case "sns":
		operation, calls, err = a.sns(body)
	default:
		operation, calls, err = a.targeted(service, r.Header.Get("X-Amz-Target"), body)
	}
	if err == nil && operation == "" {
		err = fmt.Errorf("%s %s is no call to %s that is known", r.Method, r.URL, m[1])
	}
	return operation, calls, err
}

// Keys gives what conditions may ask of a request: of a list of S3 the folder that it
// names.
func Keys(r *http.Request) map[string]string {
	query := r.URL.Query()
	if !isS3(r) || !query.Has("prefix") {
		return nil
	}
	return map[string]string{"s3:prefix": query.Get("prefix")}
}

// s3 reads requests whose path begins with the bucket.
func (a Account) s3(r *http.Request) (string, []Call) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	on := fmt.Sprintf("arn:%s:s3:::%s", a.Partition, bucket)
	if key != "" {
		return a.object(r, query, on+"/"+key)
	}
	call := func(operation, action string) (string, []Call) {
		return "s3." + operation, []Call{{"s3:" + action, on}}
	}
	switch {
	case r.Method == http.MethodHead:
		return call("HeadBucket", "ListBucket")
	case r.Method == http.MethodGet && query.Has("versioning"):
		return call("GetBucketVersioning", "GetBucketVersioning")
	case r.Method == http.MethodGet && query.Has("versions"):
		return call("ListObjectVersions", "ListBucketVersions")
	case r.Method == http.MethodGet && query.Get("list-type") == "2":
		return call("ListObjectsV2", "ListBucket")
	}
	return "", nil
}

func (a Account) object(r *http.Request, query url.Values, on string) (string, []Call) {
	read := func(on string, version bool) Call {
		if version {
			return Call{"s3:GetObjectVersion", on}
		}
		return Call{"s3:GetObject", on}
	}
	source := r.Header.Get("X-Amz-Copy-Source")
	part := query.Has("uploadId")
	write := []Call{{"s3:PutObject", on}}
	if source != "" {
		from, version, _ := strings.Cut(source, "?versionId=")
		if decoded, err := url.PathUnescape(from); err == nil {
			from = decoded
		}
		write = append(write, read(fmt.Sprintf("arn:%s:s3:::%s", a.Partition, strings.TrimPrefix(from, "/")), version != ""))
	}
	switch {
	case r.Method == http.MethodHead:
		return "s3.HeadObject", []Call{read(on, query.Has("versionId"))}
	case r.Method == http.MethodGet:
		return "s3.GetObject", []Call{read(on, query.Has("versionId"))}
	case r.Method == http.MethodPut && part && source != "":
		return "s3.UploadPartCopy", write
	case r.Method == http.MethodPut && part:
		return "s3.UploadPart", write
	case r.Method == http.MethodPut && source != "":
		return "s3.CopyObject", write
	case r.Method == http.MethodPut:
		return "s3.PutObject", write
	case r.Method == http.MethodPost && query.Has("uploads"):
		return "s3.CreateMultipartUpload", write
	case r.Method == http.MethodPost && part:
		return "s3.CompleteMultipartUpload", write
	case r.Method == http.MethodDelete && part:
		return "s3.AbortMultipartUpload", []Call{{"s3:AbortMultipartUpload", on}}
	case r.Method == http.MethodDelete && query.Has("versionId"):
		return "s3.DeleteObject", []Call{{"s3:DeleteObjectVersion", on}}
	case r.Method == http.MethodDelete:
		return "s3.DeleteObject", []Call{{"s3:DeleteObject", on}}
	}
	return "", nil
}

var invocation = regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/(invocations|configuration)$`)

func (a Account) lambda(r *http.Request) (string, []Call) {
	m := invocation.FindStringSubmatch(r.URL.Path)
	if m == nil {
		return "", nil
	}
	name, what := m[1], m[2]
	if !strings.HasPrefix(name, "arn:") {
		name = a.arn("lambda", "function:"+name)
	}
	if what == "configuration" {
		return "lambda.GetFunctionConfiguration", []Call{{"lambda:GetFunctionConfiguration", name}}
	}
	return "lambda.Invoke", []Call{{"lambda:InvokeFunction", name}}
}

func (a Account) sns(body []byte) (string, []Call, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") != "Publish" {
		return "", nil, err
	}
	return "sns.Publish", []Call{{"sns:Publish", form.Get("TopicArn")}}, nil
}

// targeted reads requests in JSON whose operation stands in a header.
func (a Account) targeted(service, target string, body []byte) (string, []Call, error) {
	_, operation, _ := strings.Cut(target, ".")
	name, known := map[string]string{"dynamodb": "dynamodb", "sqs": "sqs", "glue": "glue", "states": "sfn", "events": "eventbridge"}[service]
	if !known || operation == "" {
		return "", nil, nil
	}
	var calls []Call
	var err error
	switch service {
	case "dynamodb":
		calls, err = a.dynamo(operation, body)
	case "sqs":
		calls, err = a.sqs(operation, body)
	case "glue":
		calls, err = a.glue(operation, body)
	case "states": // the task token says which machine
		calls = []Call{{"states:" + operation, ""}}
	case "events":
		calls, err = a.events(operation, body)
	}
	if err != nil {
		return "", nil, fmt.Errorf("read a call of %s: %w", target, err)
	}
	return name + "." + operation, calls, nil
}

func (a Account) dynamo(operation string, body []byte) ([]Call, error) {
	type on struct {
		TableName string
	}
	var in struct {
		on
		IndexName     string
		RequestItems  map[string]json.RawMessage
		TransactItems []map[string]on
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var calls []Call
	need := func(operation, table string) {
		calls = append(calls, Call{"dynamodb:" + operation, a.arn("dynamodb", "table/"+table)})
	}
	switch {
	case operation == "TransactWriteItems":
		for _, item := range in.TransactItems {
			for what, on := range item {
				need(map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}[what], on.TableName)
			}
		}
	case len(in.RequestItems) > 0:
		for table := range in.RequestItems {
			need(operation, table)
		}
	case in.IndexName != "":
		need(operation, in.TableName+"/index/"+in.IndexName)
	default:
		need(operation, in.TableName)
	}
	return calls, nil
}

func (a Account) sqs(operation string, body []byte) ([]Call, error) {
	var in struct {
		QueueUrl, QueueName string            //nolint:revive // as the service spells it
		Tags                map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	queue := in.QueueName
	if queue == "" {
		queue = in.QueueUrl[strings.LastIndex(in.QueueUrl, "/")+1:]
	}
	calls := []Call{{"sqs:" + strings.TrimSuffix(operation, "Batch"), a.arn("sqs", queue)}}
	if len(in.Tags) > 0 {
		calls = append(calls, Call{"sqs:TagQueue", a.arn("sqs", queue)})
	}
	return calls, nil
}

// glue knows the catalog, of which a call needs each level, and jobs.
func (a Account) glue(operation string, body []byte) ([]Call, error) {
	type named struct{ Name string }
	var in struct {
		DatabaseName, Name, JobName string
		TableInput, DatabaseInput   named
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if in.JobName != "" {
		return []Call{{"glue:" + operation, a.arn("glue", "job/"+in.JobName)}}, nil
	}
	levels := []string{"catalog"}
	database, table := in.DatabaseName, in.Name
	if strings.HasSuffix(operation, "Database") {
		database, table = in.Name, ""
	}
	if database == "" {
		database = in.DatabaseInput.Name
	}
	if in.TableInput.Name != "" {
		table = in.TableInput.Name
	}
	levels = append(levels, "database/"+database)
	if table != "" {
		levels = append(levels, "table/"+database+"/"+table)
	}
	var calls []Call
	for _, l := range levels {
		calls = append(calls, Call{"glue:" + operation, a.arn("glue", l)})
	}
	return calls, nil
}

func (a Account) events(operation string, body []byte) ([]Call, error) {
	var in struct {
		Entries []struct{ EventBusName string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var calls []Call
	for _, e := range in.Entries {
		bus := e.EventBusName
		if !strings.HasPrefix(bus, "arn:") {
			bus = a.arn("events", "event-bus/"+bus)
		}
		calls = append(calls, Call{"events:" + operation, bus})
	}
	return slices.Compact(calls), nil
}
