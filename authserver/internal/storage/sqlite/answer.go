//go:build !fault_answer

package sqlite

// beforeCommit answers nobody: what is answered is committed.
func beforeCommit([]*write) {}
