package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/phantomgate/phantomgate/authserver"
)

func runCommand() *cobra.Command {
	var file, format string
	var level slog.Level
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Run one node of the issuer, until SIGINT or SIGTERM",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			handler, err := logHandler(c.ErrOrStderr(), format, level)
			if err != nil {
				return err
			}
			return run(c.Context(), authserver.Options{ConfigFile: file, Logger: slog.New(handler)})
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&format, "log-format", "text", "text or json")
	c.Flags().TextVar(&level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	return c
}

// ballast is never touched, so it takes no memory; but the collector waits until the heap has doubled, and counts it. Without
// it, a live heap of a few megabytes would be collected after every four that requests leave behind, for a fifth of the
// processor's time.
const ballast = 32 << 20 // bytes

// run serves until a signal asks it to end. A second signal ends it at once.
func run(ctx context.Context, options authserver.Options) error {
	defer runtime.KeepAlive(make([]byte, ballast))
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, restore := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer restore()
	context.AfterFunc(ctx, restore)
	server, err := authserver.New(options)
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

func logHandler(w io.Writer, format string, level slog.Level) (slog.Handler, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.NewTextHandler(w, options), nil
	case "json":
		return slog.NewJSONHandler(w, options), nil
	}
	return nil, usagef("--log-format %q is not offered; use text or json", format)
}
