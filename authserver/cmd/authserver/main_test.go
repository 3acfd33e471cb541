package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"authserver": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

const runnable = `demo: true
issuer: http://localhost:8090
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
storage: {sqlite: db/issuer.db}
data_key: {file: keys/data.key, create: true}
users: [{login: alice, password: {demo: canary-alice-demo}}]
`

// TestRunEndsCleanly starts the program as an operator does, twice on one database, and ends it by each signal.
func TestRunEndsCleanly(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "issuer.yaml")
	if err := os.WriteFile(file, []byte(runnable), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := &exec.Cmd{Path: self, Args: []string{"authserver", "run", "--config", file, "--log-format", "json", "--log-level", "debug"}, Dir: dir}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var logged strings.Builder
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			logged.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), `"msg":"listening"`) {
				noCoreDumps(t, cmd.Process.Pid)
				if err := cmd.Process.Signal(signal); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", signal, err, &logged)
		}
		if strings.Contains(logged.String(), "canary") {
			t.Errorf("a secret was logged:\n%s", &logged)
		}
	}
}

// noCoreDumps reads back, from the kernel, what the process asked for.
func noCoreDumps(t *testing.T, pid int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Error(err)
		return
	}
	for line := range strings.SplitSeq(string(limits), "\n") {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if fields := strings.Fields(rest); len(fields) < 2 || fields[0] != "0" || fields[1] != "0" {
				t.Error(line)
			}
			return
		}
	}
	t.Error("the kernel tells no limit for core files")
}
