// Package lnsv1 is the schema of the operators' interface, generated from
// the .proto files.
package lnsv1

//go:generate ./generate
