package grantstest

import (
	"os/exec"
	"strings"
	"testing"
)

// SeesFault runs a test of the caller's package in a build with a fault put in, and demands that it fails with that
// message: a safety test that passes there would show nothing.
func SeesFault(t *testing.T, tag, test, message string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-tags", tag, "-run", test, ".").CombinedOutput()
	if err == nil || !strings.Contains(string(output), message) {
		t.Errorf("the test does not see the fault %s: %v\n%s", tag, err, output)
	}
}
