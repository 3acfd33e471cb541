package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the processor time that the process has used since it began, in user and in kernel mode, of all its threads.
// getrusage tells a process only about itself; this clock (clock_getcpuclockid(3)) counts the same, in nanoseconds.
func (p *process) cpu() (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid<<3|scheduler), &used); err != nil {
		return 0, err
	}
	return time.Duration(used.Nano()), nil
}
