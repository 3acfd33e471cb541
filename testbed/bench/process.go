package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// patience is how long a program may take to end before it is killed.
const patience = 10 * time.Second

// process is a program that runs.
type process struct {
	name    string
	cmd     *exec.Cmd
	address string // what it said it listens on; empty if it did not say
	ended   chan struct{}
	err     error // why it ended; read it after ended is closed
}

// listening is how every program here says that it answers from now on.
var listening = regexp.MustCompile(`listening(?: on (\S+))?`)

func startProcess(ctx context.Context, program string, env, args []string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer // one line after the other: exec writes both by one goroutine
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{name: strings.Join(append([]string{cmd.Args[0]}, args...), " "), cmd: cmd, ended: make(chan struct{})}
	said := make(chan string)
	log := make(chan string, 1)
	go func() { log <- follow(reader, said) }()
	go func() {
		err := cmd.Wait()
		_ = writer.Close() // follow sees the end
		if err != nil {
			err = fmt.Errorf("%s ended: %w\n%s", program, err, <-log)
		}
		p.err = err
		close(p.ended)
	}()
	select {
	case p.address = <-said:
		return p, nil
	case <-p.ended:
		return nil, errors.Join(p.err, errors.New("it ended before it listened"))
	}
}

// follow reads a program's output to its end and gives the last of it. It sends the address once the program listens.
func follow(output io.Reader, said chan<- string) string {
	var tail []string
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if tail = append(tail, lines.Text()); len(tail) > 20 {
			tail = tail[1:]
		}
		if found := listening.FindStringSubmatch(lines.Text()); found != nil && said != nil {
			said <- found[1]
			said = nil
		}
	}
	return strings.Join(tail, "\n")
}

// stop ends the program and waits until it has. A program that had ended before is an error: nobody asked it to.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return errors.Join(p.err, fmt.Errorf("%s had ended by itself", p.name))
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill() // it may have ended just now
		<-p.ended
	}
	return p.err
}
