package caddy_test

import (
	"bytes"
	"encoding/json"
	"errors"
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

// adaptFile turns a Caddyfile into JSON as `caddy adapt` does.
func adaptFile(name, caddyfile string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": name})
	return adapted, err
}

// adapt does so with a Caddyfile in a directory of its own, which is left out of what is said of it.
func adapt(t *testing.T, caddyfile string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	adapted, err := adaptFile(file, caddyfile)
	if err != nil {
		return "", errors.New(strings.ReplaceAll(err.Error(), file, "Caddyfile"))
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, adapted, "", "  "); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(indented.String(), file, "Caddyfile"), nil
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

// TestFaultsOfAllBlocks: what is wrong in one block hides nothing of the others, also where Caddy reads them from files that
// import files, and meets one of those first.
func TestFaultsOfAllBlocks(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const caddyfile = `{
	phantomgate {
		issuer https://id.example.com {
			client gateway
			secret_file /run/secrets/gateway
			timeout soon
		}
	}
}
import sites/*
c.example.com {
	phantom_token /c {
		open /*
	}
}
`
	write("Caddyfile", caddyfile)
	write("sites/a", "a.example.com {\n\timport ../rules\n}\n")
	write("sites/b", "b.example.com {\n\timport ../rules\n\thandle {\n\t\toauth_agent now\n\t}\n}\n")
	write("rules", "phantom_token {\n\topen health\n}\n")
	_, err := adaptFile(filepath.Join(dir, "Caddyfile"), caddyfile)
	if err == nil {
		t.Fatal("a Caddyfile full of faults was adapted")
	}
	var places []string
	for line := range strings.Lines(strings.ReplaceAll(err.Error(), dir+"/", "")) {
		if place, _, ok := strings.Cut(line, ": "); ok && strings.Count(place, ":") == 1 {
			places = append(places, place)
		}
	}
	if want := []string{"Caddyfile:6", "Caddyfile:12", "rules:2", "sites/b:4"}; !slices.Equal(places, want) {
		t.Errorf("faults at %q; want %q\n%v", places, want, err)
	}
}

// TestFaultsOfNoFile: a Caddyfile that came otherwise is refused with what Caddy came to, and it is said that this may not
// be all. A file of the name it goes by is not mistaken for it.
func TestFaultsOfNoFile(t *testing.T) {
	const came = `a.example.com {
	phantom_token {
		open /health health.read
	}
}
b.example.com {
	phantom_token {
		open health
	}
}
`
	other := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(other, []byte("a.example.com {\n\tphantom_token now\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "-", other} {
		_, err := adaptFile(name, came)
		if err == nil {
			t.Fatalf("%q was adapted", name)
		}
		for text, want := range map[string]bool{"scopes: an open route": true, "no path": false, "no matcher": false, "this may not be all": true} {
			if strings.Contains(err.Error(), text) != want {
				t.Errorf("%q: that it says %q should be %v: %v", name, text, want, err)
			}
		}
	}
}
