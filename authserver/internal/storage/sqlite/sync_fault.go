//go:build fault_sync

package sqlite

// synchronous of the build in which the fsync test must fail.
const synchronous = "NORMAL"
