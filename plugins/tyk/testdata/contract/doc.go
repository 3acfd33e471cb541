// Package tyk is a contract: the few names of Tyk's module that the binding calls, with their signatures as in the
// versions it supports, so that the binding can be compiled and tested where that module cannot be had. Its code is this
// project's own. What passes against it may still fail against a gateway: docs/tyk.md says what it does and does not show.
package tyk
