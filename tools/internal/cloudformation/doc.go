// Package cloudformation reads the templates of deploy/aws as far as tests ask: it holds
// every reference in them against what it refers to, and says what the resources are with
// given parameters. It makes nothing, and knows no schema of resources.
//
// Known are Ref, Fn::Sub, Fn::GetAtt, Fn::If, Fn::FindInMap, Fn::Equals, Fn::Not, Fn::And
// and Fn::Or in their short form, Fn::ImportValue in its long one (which alone may hold a
// !Sub), conditions, mappings and exports. Anchors, aliases and merged keys,
// which are YAML but not CloudFormation, are refused.
package cloudformation
