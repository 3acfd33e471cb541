//go:build !linux

package main

import (
	"errors"
	"time"
)

// cpu fails: this system has no clock for another process's time that is fine enough.
func (p *process) cpu() (time.Duration, error) {
	return 0, errors.New("the processor time of other processes is read on Linux only; run it in a Linux container")
}
