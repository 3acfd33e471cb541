package caddy_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestFaultsOfLoading: what only loading can see, since `caddy adapt` may run on another machine, is told all at once and by
// the Caddyfile's lines too.
func TestFaultsOfLoading(t *testing.T) {
	const head = `{
	admin off
	persist_config off
	storage file_system data
	phantomgate {
		issuer http://127.0.0.1:1 {
			client gateway
			secret_file missing
		}
		token_handler shop {
			origin https://www.example.com
			cookie_key 2026-11 file missing-key
			cookie_key 2026-05 env COOKIE_KEY
			client spa
			secret_env SPA_SECRET
			redirect_uri https://www.example.com/
			post_logout_redirect_uri https://www.example.com/
			scopes openid
		}
	}
}
`
	ofTokenHandler := []string{
		"Caddyfile:15: secret_env: the environment has no SPA_SECRET; ",
		"Caddyfile:12: cookie_key: open missing-key: no such file or directory; ",
		"Caddyfile:13: cookie_key: must be 32 random bytes in base64",
	}
	t.Setenv("SPA_SECRET", "")
	t.Setenv("COOKIE_KEY", "canary")
	for name, c := range map[string]struct {
		directives string
		want       []string
	}{
		"phantom_token": {"phantom_token {\n\t\topen /*\n\t}", append([]string{"Caddyfile:8: secret_file: open missing: no such file or directory; "}, ofTokenHandler...)},
		"oauth_agent":   {"oauth_agent", ofTokenHandler},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			file := filepath.Join(dir, "Caddyfile")
			adapted, err := adaptFile(file, head+"http://"+freeAddress(t)+" {\n\t"+c.directives+"\n}\n")
			if err != nil {
				t.Fatalf("a Caddyfile of which only loading can see the faults was refused by the adapter: %v", err)
			}
			t.Cleanup(func() { caddy.Stop() })
			err = caddy.Load(adapted, true)
			if err == nil {
				t.Fatal("it was loaded")
			}
			text := strings.ReplaceAll(err.Error(), file, "Caddyfile")
			for _, want := range c.want {
				if strings.Count(text, "\n"+want) != 1 {
					t.Errorf("%q should be a line: %s", want, text)
				}
			}
			if n := strings.Count(text, "\n"); n != len(c.want) {
				t.Errorf("%d lines are told; want %d: %s", n, len(c.want), text)
			}
			if strings.Contains(text, "canary") {
				t.Errorf("a secret is told: %s", text)
			}

			// A control: with its secrets, it is loaded.
			t.Setenv("SPA_SECRET", "secret")
			t.Setenv("COOKIE_KEY", base64.StdEncoding.EncodeToString(make([]byte, 32)))
			for name, content := range map[string]string{"missing": "secret", "missing-key": base64.StdEncoding.EncodeToString([]byte("another key of 32 bytes in all ..."[:32]))} {
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := caddy.Load(adapted, true); err != nil {
				t.Error(err)
			}
		})
	}
}
