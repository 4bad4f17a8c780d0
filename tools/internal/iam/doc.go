// Package iam holds the policies of deploy/aws/roles.yaml against the calls that Blotter
// makes: it reads them, says which actions on which resources a request to AWS needs, and
// decides as IAM would. Of conditions those are known that the template has. Only a real
// account shows what IAM itself decides: of service control policies, bucket policies and
// keys nothing is known here.
//
// What a call needs is from the Service Authorization Reference of AWS.
package iam
