package main

import (
	"net/http/httptest"
	"os"
	"regexp"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// documented returns what the page shows in JSON.
func documented(t *testing.T) (blocks [][]byte) {
	t.Helper()
	page, err := os.ReadFile("../../docs/tyk.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1) {
		blocks = append(blocks, block[1])
	}
	return blocks
}

// TestDocumentedDefinitions: what the page shows is what an operator pastes.
func TestDocumentedDefinitions(t *testing.T) {
	t.Setenv("PHANTOMGATE_SECRET", "s")
	loaded, parsed := 0, 0
	for _, block := range documented(t) {
		definition := object(t, block)
		if session, ok := definition["session"]; ok && len(definition) == 1 {
			if _, _, err := splitConfig(map[string]any{"session": session}); err != nil {
				t.Error(err)
			}
			continue
		}
		if _, config := definition["issuer"]; config {
			if _, err := gateway.Parse(block); err != nil {
				t.Error(err)
			}
			parsed++
			continue
		}
		_, openAPI := definition["openapi"]
		_, classic := definition["api_id"]
		if !openAPI && !classic {
			continue // a bundle's manifest
		}
		// Without a stream of the feed, which would ask the issuer of the example.
		config := at(definition, "config_data")
		if openAPI {
			delete(definition, "config_data")
			config = at(oasGlobal(definition), "pluginConfig", "data", "value")
		}
		at(config, "issuer")["noFeed"] = true
		api := newLoadedAPI(t, openAPI, definition)
		a := newHooks(discard()).definitions.of(api.inject(httptest.NewRequest("GET", "/", nil)))
		if a.faults != nil {
			t.Errorf("%v\n%s", a.faults, block)
			continue
		}
		a.release()
		loaded++
	}
	if loaded != 2 || parsed != 1 {
		t.Errorf("%d definitions on the page, and %d configurations; want a classic one and an OAS, and one", loaded, parsed)
	}
}
