//go:build !fault_sync

package sqlite

// synchronous makes a COMMIT return only when the WAL is on the disk: NORMAL may lose what was answered.
const synchronous = "FULL"
