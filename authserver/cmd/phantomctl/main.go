// Command phantomctl is the operator's command for an issuer's admin API: it revokes by any reach, ends what a file of leaked
// references stands for, and shows the gateways and the tokens that are alive.
//
// It exits with 2 after wrong use, and with 1 when something could not be done, or not all of it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/phantomgate/phantomgate/authserver"
)

const (
	exitError = 1
	exitUsage = 2
)

func main() {
	if err := authserver.ForbidCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "phantomctl: core dumps could not be forbidden, and would hold secrets:", err)
		os.Exit(exitError)
	}
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, restore) // a second signal ends the program at once
	p := program{
		in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, pause: pause, now: time.Now,
		asks:   term.IsTerminal(int(os.Stdin.Fd())),
		redraw: term.IsTerminal(int(os.Stderr.Fd())),
	}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// program is what the commands have of the world; tests give them another one.
type program struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	pause    func(ctx context.Context, d time.Duration) error
	now      func() time.Time
	asks     bool // somebody sits at in, and can be asked
	redraw   bool // err is a terminal
}

// usageError says that the command was used in a wrong way: nothing was asked of the issuer.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (p program) run(ctx context.Context, args []string) int {
	root := p.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(p.err, "phantomctl: "+mask(err.Error()))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitError
}

func (p program) command() *cobra.Command {
	var s settings
	root := &cobra.Command{
		Use:           "phantomctl",
		Short:         "Operate a phantomgate issuer: revoke, and see what is alive and which gateways have heard of it",
		Args:          noArguments,
		SilenceErrors: true, // run tells them
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("name a command: revoke, revoke-leaked, gateways or tokens (see phantomctl --help)")
		},
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	s.flags(root.PersistentFlags())
	root.AddCommand(p.revokeCommand(&s), p.leakedCommand(&s), p.gatewaysCommand(&s), p.tokensCommand(&s))
	return root
}

// noArguments does not repeat what it refuses, as cobra's own check does: it may be a reference.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no such argument (see %s --help)", c.CommandPath(), c.CommandPath())
	}
	return nil
}

var reference = regexp.MustCompile(`pg([ar])t_[0-9A-Za-z]+`)

// mask takes out references, wherever somebody put them: as the name of a file, or of a command.
func mask(s string) string { return reference.ReplaceAllString(s, "pg${1}t_***") }

// pause waits, or fails when the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
