// Command caddy is the Caddy that is measured: phantomgate's plugin and the parts of Caddy that its two Caddyfiles name,
// built once, so that the plain reverse proxy and the gateway differ in their Caddyfile only.
//
//	caddy FILE
//
// {$NAME} in the file comes from the environment. It says "listening" once it serves, and ends with SIGTERM.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/phantomgate/phantomgate/plugins/caddy"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "caddy:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("name one Caddyfile")
	}
	file, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(file, map[string]any{"filename": args[0]})
	if err != nil {
		return err
	}
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer restore()
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	fmt.Println("listening")
	<-ctx.Done()
	return caddy.Stop()
}
