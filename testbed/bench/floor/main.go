// Command floor is what the issuer is measured against: the least that a program which speaks HTTP, with the same driver
// and the same durability, can do for the same promise. Nothing here is meant for use.
//
//	floor read      one prepared read by primary key, and an ES256 signature over as much as a phantom token says
//	floor insert    one durable insert a request, each with a commit of its own; with -shared, those that wait share one
//	floor answer    answers a kilobyte and touches nothing: the API behind the gateways
//
// It listens on a free loopback port, says "listening on <address>" once it answers, and ends with SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags; each kind of floor reads those that it needs.
type options struct {
	database string
	rows     int
	width    int
	claims   int
	shared   bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say which: read, insert or answer")
	}
	var o options
	flags := flag.NewFlagSet("floor "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.database, "database", "", "the SQLite `file`, which is made")
	flags.IntVar(&o.rows, "rows", 1, "rows that are there from the start")
	flags.IntVar(&o.width, "width", 512, "`bytes` of a row")
	flags.IntVar(&o.claims, "claims", 256, "`bytes` that are signed, before their encoding")
	flags.BoolVar(&o.shared, "shared", false, "inserts that wait share a commit")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer restore()
	kinds := map[string]func(context.Context, options) (http.Handler, func() error, error){
		"read": newReader, "insert": newInserter, "answer": newAnswerer,
	}
	kind, known := kinds[args[0]]
	if !known {
		return fmt.Errorf("%q is none of read, insert and answer", args[0])
	}
	handler, end, err := kind(ctx, o)
	if err != nil {
		return err
	}
	return errors.Join(serve(ctx, handler), end())
}

// serve answers until ctx ends, with the limits that the issuer has.
func serve(ctx context.Context, handler http.Handler) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nobody waits for an answer any more
	fmt.Println("listening on", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
