// Command api serves one of the demo's APIs, or its shop, as a program of its own; docker-compose.yml has a container for
// each. What it needs to know comes from the environment (settings.go), a secret from the file in its folder of secrets.
//
//	api eventcatalog | shoppingbasket | discount | account | shop
//	api health URL
//
// health answers 0 when the URL answers 200: an image needs no other program to look after itself. Wrong use and wrong
// settings have the exit code 2, whatever else goes wrong 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/phantomgate/phantomgate/authserver"
)

const (
	exitFailed   = 1
	exitRejected = 2
)

// rejected says that nothing was begun: the use or a setting is wrong.
type rejected struct{ error }

func main() {
	if err := authserver.ForbidCoreDumps(); err != nil {
		fmt.Fprintln(os.Stderr, "api: core dumps could not be forbidden, and would hold secrets:", err)
		os.Exit(exitFailed)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.LookupEnv, os.Stderr)
	stop()
	var wrong rejected
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(exitRejected)
	case err != nil:
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, args []string, getenv func(string) (string, bool), log io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "health":
		return health(ctx, args[1])
	case len(args) != 1:
		return rejected{fmt.Errorf("name one of %s, or: health URL", names())}
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	s := settings{getenv: getenv}
	handler, err := s.handler(args[0], logger)
	if err != nil {
		return rejected{err}
	}
	return serve(ctx, s.listen(), handler, logger.With("part", args[0]))
}
