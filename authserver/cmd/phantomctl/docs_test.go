package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needs skips a test, loudly, where a tool is missing; in CI that is fatal.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skipf("NOT CHECKED: the page's commands need %s: %v", tool, err)
		}
	}
}

// TestOperatingPage runs the commands of docs/operating.md in their order, in one shell, at an issuer of the test's own. What
// it says of a restored backup is run by the tests of cmd/authserver.
func TestOperatingPage(t *testing.T) {
	needs(t, "bash", "curl", "sed", "go")
	page, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t)
	dir := t.TempDir()
	poll, err := l.stream("edge-1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	heard := make(chan struct{})
	go func() {
		l.hear(ctx, poll)
		close(heard)
	}()
	defer func() { cancel(); <-heard }()

	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	script := "set -euo pipefail\n"
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if !strings.Contains(block[1], "authserver restored") {
			script += "echo '== block'\n" + block[1]
		}
	}
	script = strings.NewReplacer("https://id.example.com", l.URL, "http://127.0.0.1:8091", l.Admin,
		"go build -o build/phantomctl", "go -C "+root+" build -o "+dir+"/build/phantomctl").Replace(script)
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), l.named(t, dir)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := string(out)
	for _, want := range []string{"\nedge-1 ", `"gateway":"edge-1"`, "== block", " token ", " grant ", " session ", " user+client ", " user ", " client ",
		"\nGATEWAY", `"kind":"user+client"`, `"kind":"token"`, "\n2 references: 2 revoked", `"revoked":1`, "\nedge-1 ", " tenant ", " everything ", "\nedge-1 "} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("%q is not shown where it should be:\n%s", want, out)
		}
		rest = after
	}
	if reference.Match(out) {
		t.Errorf("a reference was printed:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, "build", "phantomctl")); err != nil {
		t.Error(err)
	}
}

// named makes the files that the page names, and gives the variables.
func (l lab) named(t *testing.T, dir string) []string {
	t.Helper()
	ofAlice := func() string {
		reference, err := l.login()
		if err != nil {
			t.Fatal(err)
		}
		return reference
	}
	ofBatch := l.list(t, 4)
	for name, text := range map[string]string{
		"operator.secret": "operator+secret\n",
		"operator.netrc":  "machine 127.0.0.1 login operator password operator%2Bsecret\n",
		"token.txt":       ofAlice() + "\n",
		"revocation.json": `{"token":"` + ofBatch[0] + `"}`,
		"leaked.txt":      ofBatch[1] + "\n# found in a log\n" + ofBatch[2] + "\n",
		"leaked.json":     `{"tokens":["` + ofBatch[3] + `"]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ofAlice()
	rows := strings.Split(strings.TrimSpace(l.phantomctl(t, l.Admin, nil, "tokens", "--user", "alice").out), "\n")
	last := strings.Fields(rows[len(rows)-1])
	return []string{"GRANT=" + last[1], "SESSION=" + last[2]}
}
