package main

import (
	"net/http/httptest"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

func paths(templates map[string]map[string]string) map[string]map[string]operationID {
	all := map[string]map[string]operationID{}
	for template, methods := range templates {
		all[template] = map[string]operationID{}
		for method, id := range methods {
			all[template][method] = operationID{ID: id}
		}
	}
	return all
}

func TestOperations(t *testing.T) {
	doc := document{listenPath: "/shop/", operations: paths(map[string]map[string]string{
		"/orders":                  {"GET": "listOrders", "POST": "createOrder"},
		"/orders/{id}":             {"GET": "getOrder"},
		"/orders/latest":           {"GET": "latestOrder"},
		"/orders/{id}/lines/{no}":  {"GET": "getLine"},
		"/orders/latest/lines":     {"GET": "latestLines"},
		"/files/{name}.{ext}":      {"GET": "getFile"},
		"/files/report-{year}.pdf": {"GET": "getReport"},
		"/orders/":                 {"GET": "slashed"},
		"/":                        {"GET": "root"},
	})}
	var config gateway.Config
	for _, methods := range doc.operations {
		for _, op := range methods {
			config.Routes = append(config.Routes, gateway.Route{OperationID: op.ID})
		}
	}
	config.Routes = append(config.Routes, gateway.Route{Path: "/shop/orders/special"})
	o, err := newOperations(doc, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/shop/orders", "listOrders"},
		{"HEAD", "/shop/orders", "listOrders"},
		{"POST", "/shop/orders", "createOrder"},
		{"DELETE", "/shop/orders", ""},
		{"GET", "/shop/orders/", "slashed"},
		{"GET", "/shop/orders/7", "getOrder"},
		{"GET", "/shop/orders/latest", "latestOrder"},
		{"GET", "/shop/orders/special", ""}, // a rule for the very path
		{"GET", "/shop/orders/latest/lines", "latestLines"},
		{"GET", "/shop/orders/latest/lines/3", "getLine"}, // back from the literal that leads nowhere
		{"GET", "/shop/orders/7/lines/3", "getLine"},
		{"GET", "/shop/orders/7/lines", ""},
		{"GET", "/shop/orders/7/lines/3/4", ""},
		{"GET", "/shop/files/a.b", "getFile"},
		{"GET", "/shop/files/report-2026.pdf", "getReport"},
		{"GET", "/shop/files/.b", ""},
		{"GET", "/shop/files/ab", ""},
		{"GET", "/shop/", "root"},
		{"GET", "/shop", ""},
		{"GET", "/shopping/orders", ""},
		{"GET", "/orders", ""},
	} {
		if got, _ := o.match(httptest.NewRequest(test.method, test.path, nil)); got != test.want {
			t.Errorf("%s %s: %q, want %q", test.method, test.path, got, test.want)
		}
	}
}

func TestOperationFaults(t *testing.T) {
	config := gateway.Config{Routes: []gateway.Route{{OperationID: "a"}}}
	twins := document{operations: paths(map[string]map[string]string{"/x/{id}": {"GET": "a"}, "/x/{name}": {"GET": "b"}})}
	if _, err := newOperations(twins, config); err == nil {
		t.Error("two operations that no request can tell apart were taken")
	}
	if o, err := newOperations(twins, gateway.Config{Routes: []gateway.Route{{Path: "/x"}}}); o != nil || err != nil {
		t.Errorf("nobody names an operation: %v, %v", o, err)
	}
}

// TestOperationRoutes: an operation's rule is asked by template, beside rules by path; a path that is not in normal form is
// refused although its segments fit.
func TestOperationRoutes(t *testing.T) {
	w := newWalked(t)
	definition := openAPI(object(t, plugintest.NewConfig(w.issuer.URL).JSON(t)), w.upstream.URL, "p.so")
	definition["paths"] = map[string]any{"/orders/{id}": map[string]any{
		"parameters": []any{map[string]any{"name": "id", "in": "path"}},
		"get":        map[string]any{"operationId": "getOrder"}, "delete": map[string]any{"operationId": "deleteOrder"},
	}, "/orders/latest": map[string]any{"get": map[string]any{"summary": "without an operationId"}},
		"/orders/newest": map[string]any{"get": map[string]any{"summary": "another"}}}
	at(oasServer(definition), "listenPath")["value"] = "/shop/"
	value := at(oasGlobal(definition), "pluginConfig", "data", "value")
	value["routes"] = []any{
		map[string]any{"operationId": "getOrder", "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}},
		map[string]any{"path": "/shop/orders/*", "methods": []string{"PUT", "DELETE"}, "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.write"}}},
		map[string]any{"path": "/shop/orders/latest", "methods": []string{"GET"}, "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.write"}}},
		map[string]any{"path": "/*", "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}},
	}
	loaded := newLoadedAPI(t, true, definition)
	if a := compiled(t, w.hooks, loaded); a.faults != nil {
		t.Fatal(a.faults)
	}
	reader := w.issuer.GrantScopes("eventcatalog.read")
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/shop/orders/7", 200},
		{"HEAD", "/shop/orders/7", 200},
		{"PUT", "/shop/orders/7", 403},
		{"DELETE", "/shop/orders/7", 403},   // an operation without a rule of its own goes by its path
		{"GET", "/shop/orders/latest", 403}, // and so does one without a name, which is no other's
		{"GET", "/shop/orders/newest", 405}, // its path's rule names no GET
		{"GET", "/shop/other", 200},
		{"GET", "/orders/7", 404}, // outside the listen path, where Tyk serves an API too (/<api_id>/), no operation can be told
		{"GET", "/shop/orders/..", 400},
		{"GET", "/shop/orders/a%2fb", 400},
		{"GET", "/shop/orders/7;x", 400},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Header.Set("Authorization", "Bearer "+reader)
		rec := httptest.NewRecorder()
		loaded.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(rec, r)
		if rec.Code != test.want {
			t.Errorf("%s %s: %d %s, want %d", test.method, test.path, rec.Code, rec.Body, test.want)
		}
	}
}
