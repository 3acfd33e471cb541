package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// How often a person at a terminal, and a log, is told how far it is.
const (
	redrawEvery = time.Second
	logEvery    = 10 * time.Second
)

// meter tells how far a long run is. It may be told things from several goroutines.
type meter struct {
	mu     sync.Mutex
	out    io.Writer
	now    func() time.Time
	redraw bool // out is a terminal: one line is written over and over
	drawn  bool // such a line stands there
	began  time.Time
	before int64 // sent by earlier runs
	last   time.Time
}

func (p program) meter(before int64) *meter {
	now := p.now()
	return &meter{out: p.err, now: p.now, redraw: p.redraw, began: now, last: now, before: before}
}

// show writes where the run stands, now and then.
func (m *meter) show(p *progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	every, end := logEvery, "\n"
	if m.redraw {
		every, end = redrawEvery, "\x1b[K\r" // what a longer line left behind goes
	}
	now := m.now()
	if now.Sub(m.last) < every {
		return
	}
	m.last, m.drawn = now, m.redraw
	rate := float64(p.Sent-m.before) / now.Sub(m.began).Seconds()
	fmt.Fprintf(m.out, "%d references (%.0f/s): %s%s", p.Sent, rate, counts(p), end)
}

// say writes a line of its own.
func (m *meter) say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drawn {
		fmt.Fprintln(m.out)
		m.drawn = false
	}
	fmt.Fprintf(m.out, format+"\n", args...)
}

// finish leaves the last line standing.
func (m *meter) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.drawn {
		fmt.Fprintln(m.out)
		m.drawn = false
	}
}

func counts(p *progress) string {
	return fmt.Sprintf("%d revoked, %d ended before, %d unknown", p.Revoked, p.Ended, p.Unknown)
}
