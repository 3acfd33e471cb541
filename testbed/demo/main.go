package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Exit statuses of Main.
const (
	exitClean    = 0
	exitFailed   = 1 // a part failed while running, or did not end cleanly
	exitRejected = 2 // it did not start: a setting is wrong, an address taken
)

// Main is command demo: it starts the demo, prints where everything is and what to try, says "ready" on a line of its own,
// and ends with ctx. It returns the exit status.
func Main(ctx context.Context, getenv func(string) string, out, errOut io.Writer) int {
	opts, err := FromEnvironment(getenv)
	if err != nil {
		complain(errOut, err)
		return exitRejected
	}
	running, err := Start(ctx, opts)
	if err != nil {
		if ctx.Err() != nil { // interrupted while starting
			return exitClean
		}
		complain(errOut, err)
		return exitRejected
	}
	introduce(out, running)
	if err := errors.Join(running.Wait(ctx), running.Close()); err != nil {
		complain(errOut, err)
		return exitFailed
	}
	return exitClean
}

func complain(w io.Writer, err error) { fmt.Fprintln(w, "demo:", err) }

func introduce(w io.Writer, d *Demo) {
	fmt.Fprintf(w, "\nShop       %s/ (in your browser)\nGateway    %s\nIssuer     %s\nAdmin API  %s/admin/v1\nDiscount   %s (off the gateway)\n",
		d.GatewayURL, d.GatewayURL, d.IssuerURL, d.AdminURL, d.DiscountURL)
	if d.CAFile != "" {
		fmt.Fprintf(w, "Authority  %s (for your browser to trust)\n", d.CAFile)
	}
	fmt.Fprint(w, "\nUsers alice, bob and olga; their passwords are alice-demo, bob-demo and olga-demo.\nTo try, in another terminal in this folder:\n")
	for i, step := range d.Steps() {
		fmt.Fprintf(w, "\n%d. %s\n%s\n", i+1, step.Title, step.Command)
	}
	fmt.Fprint(w, "\nCtrl-C ends it.\nready\n")
}
