//go:build fault_answer

package sqlite

import "time"

// beforeCommit of the build in which the kill test must fail: under load it answers first, and commits a little later.
// One write alone is left as it is, so that the test can get ready.
func beforeCommit(batch []*write) {
	if len(batch) < 2 {
		return
	}
	for _, job := range batch {
		job.answer(job.err)
	}
	time.Sleep(5 * time.Millisecond)
}
