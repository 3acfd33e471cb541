package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/phantomgate/phantomgate/testbed/race"
)

// lab is where things are measured: the repository, the programs built from it, and a folder for their files.
type lab struct {
	root      string // the repository
	bin, data string
	running   []*process
}

// programs are built by one command from one module, so that they share compiler, flags and dependencies.
var programs = []string{"./bench/floor", "./bench/caddy", "github.com/phantomgate/phantomgate/authserver/cmd/authserver"}

func newLab(ctx context.Context, out io.Writer) (*lab, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the module: %w", err)
	}
	testbed := filepath.Dir(strings.TrimSpace(string(mod)))
	if filepath.Base(testbed) != "testbed" {
		return nil, errors.New("run it from the module testbed: `make bench`")
	}
	data, err := os.MkdirTemp("", "phantomgate-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{root: filepath.Dir(testbed), bin: filepath.Join(data, "bin"), data: data}
	fmt.Fprintln(out, "building what is measured; the first time takes some minutes, since Caddy is compiled too …")
	build := exec.CommandContext(ctx, "go", append([]string{"build", race.BuildFlag, "-o", l.bin + string(filepath.Separator)}, programs...)...)
	build.Dir = testbed
	if report, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("building: %w\n%s", err, report), l.close())
	}
	return l, nil
}

// path names a file of the measurements.
func (l *lab) path(name string) string { return filepath.Join(l.data, name) }

// start runs one of the programs and returns once it says that it listens.
func (l *lab) start(ctx context.Context, name string, env []string, args ...string) (*process, error) {
	p, err := startProcess(ctx, filepath.Join(l.bin, name), append(os.Environ(), env...), args)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	l.running = append(l.running, p)
	return p, nil
}

// stop ends what was started, in the order in which it was.
func (l *lab) stop() error {
	var errs []error
	for _, p := range l.running {
		errs = append(errs, p.stop())
	}
	l.running = nil
	return errors.Join(errs...)
}

func (l *lab) close() error { return errors.Join(l.stop(), os.RemoveAll(l.data)) }
