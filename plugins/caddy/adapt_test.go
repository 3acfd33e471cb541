package caddy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write the golden files anew")

const divider = "\n----------\n"

// adapt turns a Caddyfile into JSON as `caddy adapt` does.
func adapt(t *testing.T, caddyfile string) (string, error) {
	t.Helper()
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, adapted, "", "  "); err != nil {
		t.Fatal(err)
	}
	return indented.String(), nil
}

// golden runs each file of dir: a Caddyfile, a divider, and what comes of it.
func golden(t *testing.T, dir string, run func(t *testing.T, caddyfile string) string) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(content), divider)
			got := strings.TrimSpace(run(t, caddyfile))
			if *update {
				if err := os.WriteFile(file, []byte(caddyfile+divider+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != strings.TrimSpace(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestAdapt pins what a Caddyfile becomes in JSON.
func TestAdapt(t *testing.T) {
	golden(t, "adapt", func(t *testing.T, caddyfile string) string {
		adapted, err := adapt(t, caddyfile)
		if err != nil {
			t.Fatal(err)
		}
		return adapted
	})
}

// TestFaults pins what is said of a Caddyfile that is refused: all faults at once, each with its file and line.
func TestFaults(t *testing.T) {
	golden(t, "faults", func(t *testing.T, caddyfile string) string {
		adapted, err := adapt(t, caddyfile)
		if err == nil {
			t.Fatalf("adapted to %s", adapted)
		}
		return err.Error()
	})
}
