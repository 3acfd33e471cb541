package discovery

import (
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

type keys string

func (k keys) JWKS() []byte { return []byte(k) }

func newMux(t *testing.T, issuer string) *http.ServeMux {
	t.Helper()
	h, err := New(Deps{Keys: keys(`{"keys":[]}`), Config: config.Config{
		Issuer:  issuer,
		Signing: config.Signing{Algorithm: "ES256", PublishFor: time.Hour},
		Audiences: []config.Audience{
			{Name: "eventcatalog", Scopes: []config.Scope{{Name: "eventcatalog.read"}, {Name: "eventcatalog.write"}}},
			{Name: "shoppingbasket", Scopes: []config.Scope{{Name: "shoppingbasket.read"}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Mount(mux)
	return mux
}

func get(mux *http.ServeMux, path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
	return rec
}

func TestGolden(t *testing.T) {
	mux := newMux(t, "https://id.example")
	for path, golden := range map[string]string{
		"/.well-known/oauth-authorization-server": "oauth-authorization-server.golden",
		"/.well-known/openid-configuration":       "openid-configuration.golden",
	} {
		rec := get(mux, path)
		if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" || rec.Header().Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, rec.Code, rec.Header())
		}
		file := filepath.Join("testdata", golden)
		if *update {
			if err := os.WriteFile(file, rec.Body.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := rec.Body.String(); got != string(want) {
			t.Errorf("%s is\n%s\nnot\n%s", path, got, want)
		}
	}
}

func TestJWKS(t *testing.T) {
	rec := get(newMux(t, "https://id.example"), "/oauth/jwks")
	if rec.Code != 200 || rec.Body.String() != `{"keys":[]}` || rec.Header().Get("Cache-Control") != "public, max-age=900" {
		t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Header())
	}
}

// TestKeysMaxAge: a cache that is half as old as a key's notice knows every key that signs.
func TestKeysMaxAge(t *testing.T) {
	for notice, want := range map[time.Duration]time.Duration{
		0: 0, time.Minute: 30 * time.Second, time.Hour: 15 * time.Minute, 24 * time.Hour: 15 * time.Minute,
	} {
		if got := keysMaxAge(config.Signing{PublishFor: notice}); got != want {
			t.Errorf("published %s ahead: %s, not %s", notice, got, want)
		}
	}
}

func TestIssuerWithPath(t *testing.T) {
	mux := newMux(t, "https://id.example/one")
	for path, status := range map[string]int{
		"/.well-known/oauth-authorization-server/one": 200, // RFC 8414, 3.1
		"/one/.well-known/openid-configuration":       200, // OpenID Connect Discovery 4.1
		"/.well-known/openid-configuration":           404,
	} {
		rec := get(mux, path)
		if rec.Code != status || status == 200 && !strings.Contains(rec.Body.String(), `"https://id.example/one/oauth/token"`) {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}
