package caddy_test

import (
	"os"
	"regexp"
	"testing"
)

// What the README and the pages show is what a newcomer pastes.
func TestReadmeCaddyfile(t *testing.T)         { adaptsShown(t, "../../README.md") }
func TestKeepYourIssuerCaddyfile(t *testing.T) { adaptsShown(t, "../../docs/keep-your-issuer.md") }

func adaptsShown(t *testing.T, file string) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(shown) == 0 {
		t.Fatalf("%s shows no Caddyfile", file)
	}
	for _, block := range shown {
		if _, err := adapt(t, block[1]); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
	}
}
