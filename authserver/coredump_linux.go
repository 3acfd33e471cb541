package authserver

import "golang.org/x/sys/unix"

// ForbidCoreDumps keeps the process's memory, with its secrets, from being written out when it crashes. The limit alone
// does not stop a dump that the kernel pipes to a program (core_pattern with |): not being dumpable does. It also keeps
// other processes of the same user from reading our memory.
func ForbidCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
