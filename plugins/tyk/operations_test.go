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
	config := gateway.Config{Routes: []gateway.Route{{OperationID: "listOrders"}}}
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
		if got := o.match(httptest.NewRequest(test.method, test.path, nil)); got != test.want {
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
	}}
	value := at(oasGlobal(definition), "pluginConfig", "data", "value")
	value["routes"] = []any{
		map[string]any{"operationId": "getOrder", "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}},
		map[string]any{"path": "/orders/*", "methods": []string{"PUT"}, "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.write"}}},
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
		{"GET", "/orders/7", 200},
		{"HEAD", "/orders/7", 200},
		{"PUT", "/orders/7", 403},
		{"DELETE", "/orders/7", 404}, // an operation without a rule falls to no other operation's, and its path names only PUT
		{"GET", "/orders/..", 400},
		{"GET", "/orders/a%2fb", 400},
		{"GET", "/orders/7;x", 400},
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
