// Command staleness shows how soon a revocation holds at gateways, and that it holds within the promised bound whatever
// happens: it does to the feed, the network, the clocks and the issuer what happens to them, revokes meanwhile, and watches
// every gateway for a request that passes too late. It prints what is promised and what was seen, and writes
// build/faults.json. docs/revocation.md has the promises.
//
// FAULTS=short does the same with few rounds: it shows that the harness works, and a test runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// settings are how much is tried.
type settings struct {
	rounds   int           // revocations of a scenario without a fault
	faults   int           // and of one with a fault, each of which takes seconds
	replicas []int         // how many gateways hear the feed at once, where it is measured how soon
	behind   int           // revocations that a gateway misses until it is too far behind for events
	flood    time.Duration // how long made-up references are sent
	keys     int           // that sign one after the other while keys rotate
}

func fullSettings() settings {
	return settings{rounds: 200, faults: 12, replicas: []int{1, 10, 100}, behind: 10_001, flood: 10 * time.Second, keys: 8}
}

func shortSettings() settings {
	return settings{rounds: 20, faults: 1, replicas: []int{1, 10}, behind: 10_001, flood: time.Second, keys: 3}
}

func main() {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer restore()
	if err := run(ctx, os.Getenv("FAULTS"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "staleness:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, size string, out io.Writer) error {
	s := fullSettings()
	switch size {
	case "":
	case "short":
		s = shortSettings()
	default:
		return fmt.Errorf("FAULTS=%q is not offered; use short, or leave it unset", size)
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	l, err := newLab(ctx, root)
	if err != nil {
		return err
	}
	all, err := measure(ctx, l, s, out)
	if err = errors.Join(err, l.close()); err != nil {
		return err
	}
	figures.PrintTable(out, all)
	if err := figures.WriteJSON(filepath.Join(root, "build", "faults.json"), all); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nwritten to build/faults.json; docs/revocation.md says what is promised, and why")
	return nil
}

// repository finds the folder that everything is built from.
func repository(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	testbed := filepath.Dir(strings.TrimSpace(string(mod)))
	if filepath.Base(testbed) != "testbed" {
		return "", errors.New("run it from the module testbed: `make faults`")
	}
	return filepath.Dir(testbed), nil
}

// measure runs every scenario, each on an issuer of its own.
func measure(ctx context.Context, l *lab, s settings, out io.Writer) (all []figures.Figure, err error) {
	var total outcome
	for _, sc := range scenarios(s) {
		fmt.Fprintf(out, "%s …\n", sc.about)
		began := time.Now()
		seen, err := sc.run(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sc.name, err)
		}
		fmt.Fprintf(out, "  %s; %.1f s\n", seen, time.Since(began).Seconds())
		all = append(all, sc.figures(seen)...)
		total.add(seen)
	}
	return append(all,
		figures.AtMost(0, "false_passes", "requests", one(total.falsePasses), "that began later after an answered revocation than the bound, over all scenarios"),
		figures.AtMost(0, "false_refusals", "requests", one(total.falseRefusals), "401 for a living token"),
		figures.AtMost(0, "lost_writes", "writes", one(total.lost), "answered revocations that did not hold afterwards"),
	), nil
}

func one(n int) figures.Spread { return figures.Spread{Median: float64(n)} }
