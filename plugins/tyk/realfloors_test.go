//go:build realtyk

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRealRaisesNothing: beside the plugin, each of the gateway's modules has the version that it has alone. Where one had a newer
// one the plugin would be refused.
func TestRealRaisesNothing(t *testing.T) {
	work := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = work, append(os.Environ(), "GOFLAGS=", "GOWORK=")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, err.(*exec.ExitError).Stderr)
		}
		return string(out)
	}
	list := func(modules ...string) map[string]string {
		_ = os.Remove(filepath.Join(work, "go.work"))
		run(append([]string{"work", "init"}, modules...)...)
		versions := map[string]string{}
		for line := range strings.Lines(run("list", "-m", "all")) {
			path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
			versions[path] = version
		}
		return versions
	}
	plugin := filepath.Join(work, "plugin")
	if out, err := exec.Command("./stage", plugin).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	alone, beside := list(os.Getenv("TYK_SRC")), list(os.Getenv("TYK_SRC"), plugin)
	if len(alone) < 100 {
		t.Fatalf("the gateway has %d modules", len(alone))
	}
	for path, version := range alone {
		if beside[path] != version {
			t.Errorf("%s is %s alone, and %s beside the plugin", path, version, beside[path])
		}
	}
}
