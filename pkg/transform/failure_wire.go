package transform

import blotterv1 "github.com/openblotter/blotter/proto/gen/blotter/v1"

// Proto gives the failure its form in events.
func (f *Failure) Proto() *blotterv1.Failure {
	return &blotterv1.Failure{
		Code: f.Code, Message: f.Message, ObjectKey: f.ObjectKey, Row: f.Row,
		Column: f.Column, Expected: f.Expected, Hint: f.Hint, RowsFailed: f.RowsFailed,
	}
}
