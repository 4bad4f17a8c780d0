// Package stepfunctions answers tasks of AWS Step Functions.
//
// Permissions: SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat on the state
// machine.
package stepfunctions
