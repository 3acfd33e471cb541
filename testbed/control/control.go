// Package control puts a fault into the project's own sources, for one run of one test, and tells whether the test saw it. A
// safety test that passes with the protection taken out protects nothing.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Fault is a change of one source file.
type Fault struct {
	File     string // from the repository's folder
	Old, New string // what stands there once, and what the fault makes of it
}

// Missed runs a test of a package of the testbed with the fault built in, and returns an error unless it fails; nil means that
// it saw the fault. The sources stay as they are (go's -overlay). root is the repository's folder, pkg the package's below the
// testbed.
func (f Fault) Missed(ctx context.Context, root, pkg, test string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	original := filepath.Join(root, f.File)
	source, err := os.ReadFile(original)
	if err != nil {
		return err
	}
	if n := strings.Count(string(source), f.Old); n != 1 {
		return fmt.Errorf("%q stands in %s %d times; a control needs it once", f.Old, f.File, n)
	}
	dir, err := os.MkdirTemp("", "phantomgate-control-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder for temporary files is cleaned anyway
	faulty, overlay := filepath.Join(dir, "faulty.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: faulty}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(faulty, []byte(strings.Replace(string(source), f.Old, f.New, 1)), 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlay, "-vet=off", "-ldflags=-s -w", "-timeout=300s", "-run", "^"+test+"$", "./"+pkg)
	cmd.Dir = filepath.Join(root, "testbed")
	out, _ := cmd.CombinedOutput() // the exit status says less than the output
	if !strings.Contains(string(out), "--- FAIL: "+test) {
		return fmt.Errorf("%s did not fail with %q in %s:\n%s", test, f.New, f.File, out)
	}
	return nil
}
