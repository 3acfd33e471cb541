package caddy_test

import (
	"os"
	"regexp"
	"testing"
)

// What the README shows is what a newcomer pastes.
func TestReadmeCaddyfile(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(shown) == 0 {
		t.Fatal("the README shows no Caddyfile")
	}
	for _, block := range shown {
		if _, err := adapt(t, block[1]); err != nil {
			t.Errorf("%v\n%s", err, block[1])
		}
	}
}
