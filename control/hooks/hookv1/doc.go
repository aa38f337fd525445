// Package hookv1 is what lnsd and its plugins have in common: the schema, generated from
// hook.proto, how a plugin is started, and Serve for plugins that are written in Go.
package hookv1

//go:generate ./generate
