package main

import "testing"

// TestAlone: what is done with a request is remembered where another hook, or another API, may come to it.
func TestAlone(t *testing.T) {
	plugin := map[string]any{"name": "x", "path": "y"}
	paths := func(name string, entry map[string]any) func(d map[string]any) {
		return func(d map[string]any) {
			at(d, "version_data", "versions", "Default", "extended_paths")[name] = []any{entry}
		}
	}
	for name, test := range map[string]struct {
		change func(d map[string]any)
		alone  bool
	}{
		"nothing else":      {func(map[string]any) {}, true},
		"a response plugin": {func(d map[string]any) { at(d, "custom_middleware")["response"] = []any{plugin} }, true},
		"empty lists": {func(d map[string]any) {
			at(d, "custom_middleware")["post"] = []any{}
			at(d, "version_data", "versions", "Default", "extended_paths")["url_rewrites"] = []any{}
		}, true},
		"another pre plugin": {func(d map[string]any) {
			listed, _ := at(d, "custom_middleware")["pre"].([]any)
			at(d, "custom_middleware")["pre"] = append(listed, plugin)
		}, false},
		"another plugin after":                {func(d map[string]any) { at(d, "custom_middleware")["post"] = []any{plugin} }, false},
		"another plugin after authentication": {func(d map[string]any) { at(d, "custom_middleware")["post_key_auth"] = []any{plugin} }, false},
		"a plugin of a path":                  {paths("go_plugin", map[string]any{"func_name": "x"}), false},
		"a rewrite":                           {paths("url_rewrites", map[string]any{"rewrite_to": "$1"}), false},
		"a virtual endpoint":                  {paths("virtual", map[string]any{"path": "/x"}), false},
		"another API's address":               {func(d map[string]any) { at(d, "proxy")["target_url"] = "TYK://inner/" }, false},
		"another API's among several":         {func(d map[string]any) { at(d, "proxy")["target_list"] = []any{"http://a", "tyk://inner/"} }, false},
	} {
		for _, keyless := range []bool{true, false} {
			w := newWalked(t)
			if a := compiled(t, w.hooks, w.load(t, only(shapes()[1], keyless), test.change)); a.remembers == test.alone {
				t.Errorf("%s, keyless %t: remembers %t", name, keyless, a.remembers)
			}
		}
	}
	w := newWalked(t)
	for _, s := range shapes() {
		if a := compiled(t, w.hooks, w.load(t, s, nil)); !a.remembers {
			t.Errorf("%s, with all our plugins, does not remember", s.name)
		}
	}
	preOnly := func(d map[string]any) {
		delete(oasGlobal(d), "postPlugins")
		at(oasServer(d), "authentication")["enabled"] = false
	}
	if a := compiled(t, w.hooks, w.load(t, shapes()[3], preOnly)); !a.remembers {
		t.Error("an OAS definition is taken at its word: of its two files Tyk goes by the classic one")
	}
}
