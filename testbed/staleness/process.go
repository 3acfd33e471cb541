package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a program that serves HTTP, and can be killed and started again.
type process struct {
	program string
	args    []string
	env     []string // beside this process's
	serves  string   // a URL
	http    *http.Client
	cmd     *exec.Cmd // while it runs
}

func newClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
}

// start runs it and returns once it serves.
func (p *process) start(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, p.program, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd = cmd
	if err := answers(ctx, p.http, p.serves); err != nil {
		return errors.Join(err, p.kill(), errors.New(log.String()))
	}
	return nil
}

// kill is SIGKILL.
func (p *process) kill() error {
	if p.cmd == nil {
		return nil
	}
	err := p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait() // that it was killed is no news
	p.cmd = nil
	return err
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// answers waits until this URL is answered, and not that it is too early.
func answers(ctx context.Context, client *http.Client, url string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		if resp, err := client.Get(url); err == nil {
			_ = resp.Body.Close() // nobody reads it
			if resp.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("%s is not answered", url)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
