package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

// TestHealth: a node that serves is well, also where the issuer's name leads elsewhere from here; one that does not is not.
func TestHealth(t *testing.T) {
	dir := t.TempDir()
	issuer := authservertest.New(t, authservertest.Options{Dir: dir})
	shell(t, dir, "ln -s db data")
	_, port, _ := strings.Cut(strings.TrimPrefix(issuer.URL, "http://"), ":")
	ask := func(listen string) string {
		t.Helper()
		text := strings.NewReplacer("http://localhost:8090", issuer.URL, "LISTEN", `"`+listen+`"`, "ADMIN", `"127.0.0.1:0"`).Replace(restoredFile)
		if err := os.WriteFile(filepath.Join(dir, "issuer.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return shell(t, dir, "authserver health --config issuer.yaml 2>&1 && echo well || echo status $?")
	}
	if said := ask("127.0.0.1:" + port); said != "well\n" {
		t.Errorf("of a node that serves it says %s", said)
	}
	issuer.Stop(t)
	if said := ask("127.0.0.1:" + port); !strings.HasSuffix(said, "status 1\n") || !strings.Contains(said, "refused") {
		t.Errorf("of a node that does not serve it says %s", said)
	}
}
