//go:build realtyk

package main

import (
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// TestRealEvents: whoever is told of a refusal gets the whole request, and no credential in it.
func TestRealEvents(t *testing.T) {
	told := make(chan string, 1)
	hearer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	t.Cleanup(hearer.Close)
	template := filepath.Join(t.TempDir(), "template")
	if err := os.WriteFile(template, []byte("{{.Meta.OriginatingRequest}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		at(d, "event_handlers", "events")["AuthFailure"] = []any{map[string]any{
			"handler_name": "eh_web_hook_handler",
			"handler_meta": map[string]any{"name": "hearer", "method": "POST", "target_path": hearer.URL, "template_path": template, "event_timeout": 1},
		}}
	})
	token := w.issuer.GrantScopes("eventcatalog.read")
	status, _, _ := w.get(plugintest.Basket, token)
	w.want("a token without the route's scope", 403, status)
	select {
	case body := <-told:
		request, err := base64.StdEncoding.DecodeString(html.UnescapeString(body))
		if err != nil || !strings.HasPrefix(string(request), "GET "+plugintest.Basket) {
			t.Fatalf("%v: what is told of is no request: %s", err, body)
		}
		if strings.Contains(string(request), token) || strings.Contains(string(request), "Authorization") {
			t.Errorf("what is told of: %s", request)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
	}
}
