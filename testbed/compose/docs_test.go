package compose

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// docs runs what docs/docker-compose.md has one try, on this stack's ports and with the compose there is.
func (s *stack) docs(t *testing.T) {
	page, err := os.ReadFile("../../docs/docker-compose.md")
	if err != nil {
		t.Fatal(err)
	}
	section, _, _ := strings.Cut(string(page)[strings.Index(string(page), "## Try it"):], "\n## Restart")
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		script.WriteString(block[1])
	}
	commands := strings.NewReplacer("docker compose", strings.Join(s.compose, " "), "http://localhost:8080", s.gateway, "http://localhost:8090", s.issuer).Replace(script.String())
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = "../.."
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, said.String())
	}
	got := strings.TrimSpace(string(out))
	if !strings.Contains(got, `"aud": "eventcatalog"`) || !strings.Contains(got, "APPLIED") || !strings.HasSuffix(got, "401") {
		t.Errorf("what the page has one try says:\n%s", got)
	}
}
