// Package lnsv1 is the schema of the operators' interface, generated from
// lns.proto.
package lnsv1

//go:generate ./generate
