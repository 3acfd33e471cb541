// Command demo starts the whole walk in one process, prints where everything is and what to try, and says "ready" on a line
// of its own. GATEWAY_ADDR, ISSUER_ADDR, ADMIN_ADDR, DISCOUNT_ADDR and DATA_DIR move it, TLS=1 makes it https,
// LOG_LEVEL=debug makes it talk. It ends on an interrupt, with status 0 and nothing left behind; 2 says that a setting is wrong.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/phantomgate/phantomgate/authserver"
	"github.com/phantomgate/phantomgate/testbed/demo"
)

func main() {
	if err := authserver.ForbidCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "demo: core dumps could not be forbidden, and would hold secrets:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := demo.Main(ctx, os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}
