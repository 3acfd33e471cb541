package consistency

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fault is one that is put into the gateway's core for a control.
type fault struct {
	about, file string // the file's name in the repository
	old, new    string // what stands there once, and what the fault makes of it
}

// isSeen runs a test of this package with the fault in, and wants it to fail with that message.
func (f fault) isSeen(t *testing.T, test, message string) {
	t.Helper()
	dir := t.TempDir()
	original, err := filepath.Abs(filepath.Join("..", "..", "..", f.file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), f.old); n != 1 {
		t.Fatalf("%q stands in %s %d times; a control needs it once", f.old, f.file, n)
	}
	faulty, overlay := filepath.Join(dir, "faulty.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: faulty}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{faulty: strings.Replace(string(source), f.old, f.new, 1), overlay: string(list)} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-vet=off", "-overlay", overlay, "-run", "^"+test+"$", ".",
		"-rapid.nofailfile", "-rapid.shrinktime=1s").CombinedOutput()
	if err == nil || !strings.Contains(string(out), message) {
		t.Errorf("with %q the test ended with %v and without %q:\n%s", f.about, err, message, out)
	}
}
