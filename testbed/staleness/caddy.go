package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
	"github.com/phantomgate/phantomgate/testbed/race"
)

//go:embed gateway.caddyfile
var caddyFile []byte

// caddy is a gateway as operators run it: Caddy with the plugin, a process of its own.
type caddy struct{ *process }

// caddyProgram builds Caddy once; it is the one that is measured too.
func (l *lab) caddyProgram(ctx context.Context) (string, error) {
	program := filepath.Join(l.dir, "caddy")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	build := exec.CommandContext(ctx, "go", "build", race.BuildFlag, "-o", program, "./bench/caddy")
	build.Dir = filepath.Join(l.root, "testbed")
	if report, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, report)
	}
	return program, nil
}

// newCaddy starts one, to which a wire is the issuer's address.
func newCaddy(ctx context.Context, i *issuer, name string) (*replica, error) {
	program, err := i.lab.caddyProgram(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(i.lab.dir, "caddy-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, caddyFile, 0o600); err != nil {
		return nil, err
	}
	addresses, err := freeaddress.Find(1)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, err
	}
	between, err := newWire(i.wires[0], i.addr)
	if err != nil {
		return nil, err
	}
	i.wires = i.wires[1:]
	c := caddy{&process{
		program: program, args: []string{file},
		env: []string{"PORT=" + port, "DATA_DIR=" + dir, "ISSUER=http://" + i.addr, "ISSUER_URL=http://" + between.address,
			"GATEWAY_SECRET=gateway-demo-secret", "MAX_STALENESS=" + i.lab.staleness.String()},
		serves: "http://" + addresses[0] + path, http: newClient(),
	}}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, between.close())
	}
	return &replica{name, &link{other: between}, c}, nil
}

func (c caddy) stop() error {
	c.http.CloseIdleConnections()
	return c.kill()
}

// ask sends one request over HTTP. One that gets no answer has status 0: nothing passed.
func (c caddy) ask(ctx context.Context, reference string) (status int, cached bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.serves, nil)
	if err != nil {
		return 0, false
	}
	req.Header.Set("Authorization", "Bearer "+reference)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, false
	}
	said, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, false
	}
	return resp.StatusCode, string(said) == "hit"
}

// throughCaddy runs a trial before two Caddys, of which something happens to the first.
func throughCaddy(rounds int, make func(f *field, victim *replica) trial) func(context.Context, *lab) (outcome, error) {
	return repeatBefore(rounds, setup{gateways: 2, gateway: newCaddy}, make)
}

func well(*field, *replica) trial { return trial{settle: 20 * time.Millisecond} }

// stopped freezes a Caddy before the revocation and lets it go on when the bound is over: what it has cached is as it was.
func stopped(_ *field, victim *replica) trial {
	frozen := victim.host.(caddy)
	return trial{
		before: func() error { return frozen.signal(syscall.SIGSTOP) },
		settle: bound + bound/2,
		healed: func() error { return frozen.signal(syscall.SIGCONT) },
	}
}
