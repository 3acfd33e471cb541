// Command bench measures phantomgate against programs that do the least that can be done (floor, and a plain Caddy), in
// one run, by turns, each program a process of its own. It prints a table and writes build/figures.json. A goal that is
// missed is part of the result, not an error. docs/figures.md says what each figure means.
//
// BENCH=quick does the same with so few requests that the figures mean nothing: it shows that the harness works.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// settings are how much is measured.
type settings struct {
	rounds      int // turns that each program gets, after one that is not counted
	readers     int // connections that read
	writers     int // connections that write
	proxied     int // requests a turn, at a gateway
	read        int // at the introspection endpoint
	written     int // at the token endpoint
	tokens      int // living tokens at the issuer
	swaps       []swapBench
	swapTurn    string // turns of the cached swap, as `go test -benchtime` has them
	ended       int    // living tokens that one revocation ends
	revokeTurns string
}

// fullSettings have turns of less than a second: what else the machine does then meets neighbouring turns alike.
func fullSettings() settings {
	return settings{
		rounds: 25, readers: 16, writers: 64, proxied: 6_000, read: 3_000, written: 1_500, tokens: 20_000,
		swaps: []swapBench{swap1k, cookie, cookiePost, swap1M}, swapTurn: "100x", ended: 100_000, revokeTurns: "200x",
	}
}

// quickSettings leave out the million: filling it takes half a minute however few times it is asked.
func quickSettings() settings {
	return settings{
		rounds: 2, readers: 4, writers: 4, proxied: 50, read: 50, written: 20, tokens: 20,
		swaps: []swapBench{swap1k, cookie, cookiePost}, swapTurn: "1x", ended: 2000, revokeTurns: "2x",
	}
}

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	if err := run(ctx, os.Getenv("BENCH"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, size string, out io.Writer) error {
	s := fullSettings()
	switch size {
	case "":
	case "quick":
		s = quickSettings()
		fmt.Fprintln(out, "BENCH=quick: too little is measured for these figures to mean anything.")
	default:
		return fmt.Errorf("BENCH=%q is not offered; use quick, or leave it unset", size)
	}
	measured, root, err := measure(ctx, s, out)
	if err != nil {
		return err
	}
	figures.PrintTable(out, measured)
	path := filepath.Join(root, "build", "figures.json")
	if err := figures.WriteJSON(path, measured); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nwritten to build/figures.json; docs/figures.md says how to read them")
	return nil
}

// measure makes all figures; root is the repository's folder.
func measure(ctx context.Context, s settings, out io.Writer) (all []figures.Figure, root string, err error) {
	l, err := newLab(ctx, out)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, part := range []struct {
		title string
		run   func(context.Context, *lab, settings) ([]figures.Figure, error)
	}{
		{"the cached swap in the core", measureSwap},
		{"what the feed adds to it", measureSwapFeed},
		{"the token endpoint", measureIssue},
		{"the introspection endpoint", measureIntrospection},
		{"a revocation", measureRevocation},
		{"Caddy", measureCaddy},
	} {
		fmt.Fprintf(out, "measuring %s …\n", part.title)
		more, err := part.run(ctx, l, s)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", part.title, err)
		}
		all = append(all, more...)
	}
	return all, l.root, nil
}
