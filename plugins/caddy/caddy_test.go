package caddy_test

import (
	"cmp"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/phantomgate/phantomgate/plugins/plugintest"

	_ "github.com/phantomgate/phantomgate/plugins/caddy"
)

// server runs a real Caddy in this process, its access log on and every log at its most talkative level.
type server struct {
	// before and after are handlers around phantom_token, for tests of what stands beside it.
	before, after []any
	// handler takes the place of phantom_token, for controls.
	handler string
	// noKeepAlive has reverse_proxy keep no connection, for tests that count what is left of phantom_token.
	noKeepAlive bool
	// hears has the gateway hear the revocation feed where walk and restart start it.
	hears bool
}

func (server) Name() string { return "Caddy" }

func (s server) Start(t testing.TB, config []byte, upstreamURL string) (plugintest.Gateway, error) {
	t.Helper()
	address := freeAddress(t)
	logFile := filepath.Join(t.TempDir(), "caddy.log")
	if err := caddy.Load(s.config(t, config, address, upstreamURL, logFile), true); err != nil {
		return plugintest.Gateway{}, err
	}
	t.Cleanup(func() {
		requests.Wait()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return plugintest.Gateway{URL: "http://" + address, Log: func() string {
		content, err := os.ReadFile(logFile)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}}, nil
}

// config splits gateway.Config into app and handler.
func (s server) config(t testing.TB, config []byte, address, upstreamURL, logFile string) []byte {
	var c map[string]json.RawMessage
	if err := json.Unmarshal(config, &c); err != nil {
		t.Fatal(err)
	}
	handler := map[string]any{"handler": cmp.Or(s.handler, "phantom_token"), "routes": c["routes"]}
	delete(c, "routes")
	proxy := map[string]any{"handler": "reverse_proxy",
		"upstreams": []any{map[string]any{"dial": strings.TrimPrefix(upstreamURL, "http://")}},
		"transport": map[string]any{"protocol": "http", "keep_alive": map[string]any{"enabled": !s.noKeepAlive}}}
	before := append([]any{map[string]any{"handler": "in_flight"}}, s.before...)
	if c["tokenHandler"] != nil {
		before = append(before, map[string]any{"handler": "oauth_agent"})
	}
	handlers := append(append(before, handler), append(s.after, proxy)...)
	document, err := json.Marshal(map[string]any{
		"admin": map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"level": "DEBUG",
			"writer": map[string]any{"output": "file", "filename": logFile, "roll": false}}}},
		"storage": map[string]any{"module": "file_system", "root": t.TempDir()},
		"apps": map[string]any{
			"phantomgate": c,
			"http": map[string]any{"servers": map[string]any{"test": map[string]any{
				"listen": []string{address}, "automatic_https": map[string]any{"disable": true},
				"logs":   map[string]any{},
				"routes": []any{map[string]any{"handle": handlers}},
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// walk starts s as the suite does.
func walk(t *testing.T, s server) *plugintest.Walk {
	t.Helper()
	w := &plugintest.Walk{T: t, Issuer: plugintest.NewIssuer(t), Upstream: plugintest.NewUpstream(t)}
	restart(w, s)
	return w
}

// restart puts s in the place of w's gateway.
func restart(w *plugintest.Walk, s server) {
	w.T.Helper()
	config := plugintest.NewConfig(w.Issuer.URL)
	if s.hears {
		delete(config.Issuer, "noFeed")
	}
	var err error
	if w.Gateway, err = s.Start(w.T, config.JSON(w.T), w.Upstream.URL); err != nil {
		w.T.Fatal(err)
	}
}

// TestSuite is the suite that every binding passes.
func TestSuite(t *testing.T) { plugintest.Run(t, server{}) }

// TestJudgesTheForwardedPath has Caddy strip a prefix before phantom_token. Caddy mends the rest of the path when it
// strips, so the rules are about the mended path, and that very path is what the upstream is asked for.
func TestJudgesTheForwardedPath(t *testing.T) {
	strip := map[string]any{"handler": "rewrite", "strip_path_prefix": "/v1"}
	w := walk(t, server{before: []any{strip}})
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	for target, want := range map[string]int{
		"/v1" + plugintest.Events: 200, "/v1/" + plugintest.Events: 200, "/v1%2fapi/eventcatalog/events": 200,
		"/v1" + plugintest.AdminOf: 403, "/v1/" + plugintest.AdminOf: 403, "/v1/../v1" + plugintest.AdminOf: 403,
		"/v1" + plugintest.Tree + "/x/../root": 403, "/v1" + plugintest.Tree + "/%2e/root": 403, "/v1" + plugintest.Tree + "//root": 403,
		"/v1/v1" + plugintest.Events: 404, "/v1": 404, plugintest.Tree + "//root": 403,
		"/v1" + plugintest.Tree + "%2froot": 400, "/v1" + plugintest.Tree + "/x;/../root": 403,
		"/v1" + plugintest.Tree + "/x;y": 400,
	} {
		if got := w.Raw("GET", target, "Authorization: Bearer "+reference); got.Status != want {
			t.Errorf("%s was answered %d; want %d", target, got.Status, want)
		}
	}
	for _, received := range w.Upstream.Received() {
		if received.Path != plugintest.Events {
			t.Errorf("the upstream was asked for %s", received.Path)
		}
	}
}

// TestCaddysOwnIdentityHeadersStay: what an operator has Caddy add behind phantom_token is the operator's word.
func TestCaddysOwnIdentityHeadersStay(t *testing.T) {
	add := map[string]any{"handler": "headers",
		"request": map[string]any{"set": map[string]any{"X-User": []string{"from-caddy"}}}}
	w := walk(t, server{after: []any{add}})
	r := w.Request("GET", plugintest.Events, w.Issuer.GrantScopes("eventcatalog.read"))
	r.Header.Set("X-User", "mallory")
	if got := w.Passed(w.Do(r)).Header.Values("X-User"); len(got) != 1 || got[0] != "from-caddy" {
		t.Errorf("the upstream got X-User %q", got)
	}
}

// TestRefusedAtLoad: what the core's parser does not see.
func TestRefusedAtLoad(t *testing.T) {
	load := func(t *testing.T, change func(document map[string]any)) error {
		var document map[string]any
		config := plugintest.NewConfig("http://127.0.0.1:1").JSON(t)
		log := filepath.Join(t.TempDir(), "log")
		if err := json.Unmarshal(server{}.config(t, config, freeAddress(t), "http://127.0.0.1:1", log), &document); err != nil {
			t.Fatal(err)
		}
		change(document["apps"].(map[string]any))
		changed, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { caddy.Stop() })
		return caddy.Load(changed, true)
	}
	for name, test := range map[string]struct {
		change func(apps map[string]any)
		says   string
	}{
		"no app": {func(apps map[string]any) { delete(apps, "phantomgate") }, "there is no phantomgate app"},
		"log_credentials": {func(apps map[string]any) {
			http := apps["http"].(map[string]any)["servers"].(map[string]any)["test"].(map[string]any)
			http["logs"] = map[string]any{"should_log_credentials": true}
		}, "log_credentials would write"},
		"an app without a handler": {func(apps map[string]any) {
			delete(apps, "http")
			delete(apps["phantomgate"].(map[string]any)["issuer"].(map[string]any), "clientId")
		}, "issuer.clientId: missing"},
		"a member nobody knows": {func(apps map[string]any) {
			apps["phantomgate"].(map[string]any)["feed"] = true
		}, `unknown field "feed"`},
		"faults of the global option": {func(apps map[string]any) {
			apps["phantomgate"].(map[string]any)["caddyfileFaults"] = []string{"Caddyfile:3: wrong"}
		}, "Caddyfile:3: wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := load(t, test.change); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("loading said %v; want %q", err, test.says)
			}
		})
	}
	if err := load(t, func(map[string]any) {}); err != nil {
		t.Errorf("the config all these are changed from was refused: %v", err)
	}
}

// TestFaultsOfAllHandlers: a config in JSON is refused with the faults of all of ours in it, by their places, whether it is
// loaded or only validated. It does so some times, for Caddy provisions apps and servers in any order.
func TestFaultsOfAllHandlers(t *testing.T) {
	handler := func(route string) string { return `{"handler": "phantom_token", "routes": [` + route + `]}` }
	config := `{"admin": {"disabled": true, "config": {"persist": false}}, "apps": {
		"phantomgate": {"issuer": {"issuer": "https://id.example.com", "clientSecretEnv": "X"}},
		"http": {"servers": {
			"one": {"listen": ["127.0.0.1:0"], "logs": {"should_log_credentials": true}, "routes": [{"handle": [
				{"handler": "oauth_agent"}, {"handler": "subroute", "routes": [{"handle": [` + handler(`{"path": "a"}`) + `]}]}]}]},
			"two": {"listen": ["127.0.0.1:0"], "routes": [
				{"handle": [` + handler(`{"path": "/fine", "open": true}`) + `]},
				{"handle": [` + handler(`{"path": "/b", "open": true}, {"path": "/b", "opn": true}`) + `]},
				{"handle": [` + handler(``) + `]}]}
		}}}}`
	want := []string{
		"apps.phantomgate.issuer.clientId: missing",
		"apps.http.servers.one.routes[0].handle[0]: oauth_agent needs",
		"apps.http.servers.one.routes[0].handle[1].routes[0].handle[0].routes[0].path: ",
		"apps.http.servers.two.routes[1].handle[0].routes[1].opn: ",
		"apps.http.servers.two.routes[2].handle[0].routes: missing",
	}
	for range 20 {
		for name, load := range map[string]func() error{
			"loading": func() error { return caddy.Load([]byte(config), true) },
			"validating": func() error {
				var c caddy.Config
				if err := json.Unmarshal([]byte(config), &c); err != nil {
					t.Fatal(err)
				}
				return caddy.Validate(&c)
			},
		} {
			err := load()
			if err == nil {
				t.Fatalf("%s: a config full of faults was taken", name)
			}
			for _, fault := range want {
				if strings.Count(err.Error(), fault) != 1 {
					t.Errorf("%s: %q should be told once: %v", name, fault, err)
				}
			}
			if strings.Contains(err.Error(), "two.routes[0]") {
				t.Errorf("%s: a handler without fault was given one: %v", name, err)
			}
		}
	}
}
