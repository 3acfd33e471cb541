package e2e

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/browser"
)

// needs skips a test, loudly, where a tool is missing; in CI that is fatal.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skipf("NOT CHECKED: the printed steps need %s: %v", tool, err)
		}
	}
}

// TestTheStepsThatTheDemoPrints runs them as a newcomer would, in one shell, but for those that need a person.
func TestTheStepsThatTheDemoPrints(t *testing.T) {
	needs(t, "bash", "curl", "sed")
	w := inProcess(t)
	script := "set -e\n"
	for _, step := range w.demo.Steps() {
		if !step.Browser && !step.Person {
			script += "echo '== step'\n" + step.Command + "\necho\n"
		}
	}
	out, err := exec.CommandContext(t.Context(), "bash", "-c", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	parts := strings.Split(string(out), "== ")
	for i, want := range []string{"", "token_endpoint", "pgat_", "Midsummer Jazz", `"aud": "eventcatalog"`, `"generation"`, "401"} {
		if i >= len(parts) || !strings.Contains(parts[i], want) {
			t.Fatalf("step %d does not show %q:\n%s", i, want, out)
		}
	}
}

// TestTheStepForAPerson runs the login command as printed, and is the person who opens the address that it shows; then
// what the token that it prints is for.
func TestTheStepForAPerson(t *testing.T) {
	needs(t, "bash", "go")
	w := inProcess(t)
	for _, step := range w.demo.Steps() {
		if !step.Browser {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", step.Command)
		cmd.Dir = "../.."
		var out bytes.Buffer
		cmd.Stdout = &out
		messages, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		person, err := browser.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(messages)
		for lines.Scan() {
			if address := strings.TrimSpace(lines.Text()); strings.HasPrefix(address, w.demo.IssuerURL) {
				if _, err := person.LogIn(t.Context(), address, "alice", "alice-demo"); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		token := strings.TrimSpace(out.String())
		if shown := w.personSteps(t, token); !strings.Contains(shown, `"discount": 450,`) || !strings.Contains(shown, `"act": {`) {
			t.Errorf("the basket shows no discount, or not who acts:\n%s", shown)
		}
		if got := w.api(t, events, token, ""); got.status != http.StatusOK {
			t.Errorf("with the reference that was printed: status %d: %s", got.status, got.body)
		}
	}
}

// personSteps runs the printed steps for a person's token, and gives what they show.
func (w *walk) personSteps(t *testing.T, token string) string {
	t.Helper()
	var shown strings.Builder
	for _, step := range w.demo.Steps() {
		if !step.Person {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", step.Command)
		cmd.Env = append(os.Environ(), "TOKEN="+token)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		shown.Write(out)
	}
	return shown.String()
}
