package caddy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
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

// TestFaultsOfAllBlocks: what is wrong in one block hides nothing of the others, wherever they stand.
func TestFaultsOfAllBlocks(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	imported := write("orders", `phantom_token {
	audience orders {
		GET orders.read
	}
}
`)
	const written = `{
	phantomgate {
		issuer https://id.example.com {
			client gateway
			secret_file /run/secrets/gateway
			timeout soon
		}
	}
}
(snippet) {
	phantom_token {
		colour blue
	}
}
one.example.com {
	phantom_token {
		audience catalog {
			GET /events events.read {
				acr
			}
		}
	}
}
two.example.com {
	handle /api/* {
		phantom_token /api/* {
			open /health
		}
		reverse_proxy localhost:9001
	}
	handle {
		oauth_agent now
	}
}
three.example.com {
	import snippet
	import IMPORTED
}
four.example.com {
	phantom_token {
		open /fine
	}
}
`
	file := write("Caddyfile", strings.Replace(written, "IMPORTED", imported, 1))
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = caddyconfig.GetAdapter("caddyfile").Adapt(content, map[string]any{"filename": file})
	if err == nil {
		t.Fatal("a Caddyfile full of faults was adapted")
	}
	var told []string
	for line := range strings.Lines(err.Error()) {
		if place, problem, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), dir+"/"), ": "); ok {
			told = append(told, place+" "+strings.Fields(problem)[0])
		}
	}
	want := []string{"Caddyfile:6 timeout:", "Caddyfile:12 colour", "Caddyfile:19 acr", "Caddyfile:26 phantom_token", "Caddyfile:32 oauth_agent", "orders:3 this"}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s\n%v", strings.Join(told, "\n"), strings.Join(want, "\n"), err)
	}
}
