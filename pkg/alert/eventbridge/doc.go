// Package eventbridge puts alerts on a bus of Amazon EventBridge.
//
// An event has the source "blotter", the alert's kind as detail-type, and the alert as
// detail, so that rules choose by table or reason.
//
// Permissions: events:PutEvents on the bus.
package eventbridge
