package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed gateway.caddyfile
var caddyFile []byte

// caddy is a gateway as operators run it: Caddy with the plugin, a process of its own, whose way to the issuer is a proxy here.
type caddy struct {
	link    *link
	program string
	file    string
	address string
	env     []string
	proxy   *http.Server
	http    *http.Client
	process *exec.Cmd
	log     bytes.Buffer // of the process that runs
}

// caddyProgram builds Caddy once; it is the one that is measured too.
func (l *lab) caddyProgram(ctx context.Context) (string, error) {
	program := filepath.Join(l.dir, "caddy")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./bench/caddy")
	build.Dir = filepath.Join(l.root, "testbed")
	if report, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building Caddy: %w\n%s", err, report)
	}
	return program, nil
}

// newCaddy starts one.
func newCaddy(ctx context.Context, i *issuer, name string) (*replica, error) {
	program, err := i.lab.caddyProgram(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(i.lab.dir, "caddy-")
	if err != nil {
		return nil, err
	}
	c := &caddy{link: newLink(), program: program, file: filepath.Join(dir, "Caddyfile"),
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	if err := os.WriteFile(c.file, caddyFile, 0o600); err != nil {
		return nil, err
	}
	between, err := c.serve("http://" + i.addr)
	if err != nil {
		return nil, err
	}
	if c.address, err = freeAddress(); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(c.address)
	if err != nil {
		return nil, err
	}
	c.env = append(os.Environ(), "PORT="+port, "DATA_DIR="+dir, "ISSUER=http://"+i.addr, "ISSUER_URL="+between,
		"GATEWAY_SECRET=gateway-demo-secret", "MAX_STALENESS="+i.lab.staleness.String())
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return &replica{name, c.link, c}, nil
}

// serve puts the link between the process and the issuer.
func (c *caddy) serve(issuer string) (address string, err error) {
	target, err := url.Parse(issuer)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	c.proxy = &http.Server{Handler: &httputil.ReverseProxy{
		Transport: c.link,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog:  log.New(io.Discard, "", 0), // that it fails is what it is for
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // the connection breaks, as the network's would
		},
	}, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = c.proxy.Serve(listener) }() // ends with Close
	return "http://" + listener.Addr().String(), nil
}

// start runs the process and returns once it serves.
func (c *caddy) start(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.program, c.file)
	cmd.Env = c.env
	c.log.Reset()
	cmd.Stderr = &c.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.process = cmd
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "listening") {
		return errors.Join(fmt.Errorf("a Caddy did not start: it said %q", line), err, c.kill(), errors.New(c.log.String()))
	}
	return nil
}

// kill is SIGKILL.
func (c *caddy) kill() error {
	if c.process == nil {
		return nil
	}
	err := c.process.Process.Signal(syscall.SIGKILL)
	_ = c.process.Wait() // that it was killed is no news
	c.process = nil
	return err
}

// stop is for good: its addresses are free again.
func (c *caddy) stop() error {
	c.http.CloseIdleConnections()
	return errors.Join(c.kill(), c.proxy.Close())
}

func (c *caddy) signal(s syscall.Signal) error { return c.process.Process.Signal(s) }

// ask sends one request over HTTP. One that gets no answer has status 0: nothing passed. Nobody else may ask meanwhile where it
// matters whether the answer was cached.
func (c *caddy) ask(ctx context.Context, reference string) (status int, cached bool) {
	before := c.link.asked.Load()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.address+path, nil)
	if err != nil {
		return 0, false
	}
	req.Header.Set("Authorization", "Bearer "+reference)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return 0, false
	}
	return resp.StatusCode, c.link.asked.Load() == before
}

// throughCaddy runs a trial before two Caddys, of which something happens to the first.
func throughCaddy(rounds int, make func(f *field, victim *caddy) trial) func(context.Context, *lab) (outcome, error) {
	return repeatBefore(rounds, setup{gateways: 2, gateway: newCaddy}, func(f *field, victim *replica) trial {
		return make(f, victim.host.(*caddy))
	})
}

func caddyWell(*field, *caddy) trial { return trial{settle: 20 * time.Millisecond} }

func caddyCutOff(_ *field, victim *caddy) trial {
	return trial{
		before: func() error { victim.link.set(faults{cut: true}); return nil },
		settle: bound + bound/2,
		healed: func() error { victim.link.set(faults{}); return nil },
	}
}

// caddyStopped freezes the process before the revocation and lets it go on when the bound is over: what it has cached is as it was.
func caddyStopped(_ *field, victim *caddy) trial {
	return trial{
		before: func() error { return victim.signal(syscall.SIGSTOP) },
		settle: bound + bound/2,
		healed: func() error { return victim.signal(syscall.SIGCONT) },
	}
}

// caddyKilled kills the process when the revocation was answered, and starts it again.
func caddyKilled(_ *field, victim *caddy) trial {
	return trial{
		during: func() error { return errors.Join(victim.kill(), victim.start(context.Background())) },
		settle: bound,
	}
}
