package authserver

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestNotDumpable asks the kernel: a dump that it pipes to a program heeds no limit, but heeds this.
func TestNotDumpable(t *testing.T) {
	dumpable := func() int {
		is, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	if before := dumpable(); before != 1 {
		t.Logf("the process was not dumpable before (%d)", before)
	}
	if err := ForbidCoreDumps(); err != nil {
		t.Fatal(err)
	}
	if dumpable() != 0 {
		t.Error("the process can be dumped")
	}
}
