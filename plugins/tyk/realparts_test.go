//go:build realtyk

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// tykWalk is a gateway process between the suite's issuer and upstream, for what only Tyk has.
type tykWalk struct {
	*tykProcess
	t        *testing.T
	issuer   *plugintest.Issuer
	upstream *plugintest.Upstream
	redis    string
}

func newTykWalk(t *testing.T) *tykWalk {
	return newTykWalkWith(t, func(config map[string]any) { config["enable_http_profiler"] = true })
}

// newTykWalkWith is one whose gateway has another config.
func newTykWalkWith(t *testing.T, change func(config map[string]any)) *tykWalk {
	redis := startRedis(t)
	w := &tykWalk{t: t, redis: redis, issuer: plugintest.NewIssuer(t), upstream: plugintest.NewUpstream(t)}
	w.tykProcess = startTyk(t, redis, t.TempDir(), change)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Tyk's log:\n%s", tail(w.log(t), 60))
		}
		w.stop()
	})
	return w
}

// add loads an API of the suite's configuration, changed.
func (w *tykWalk) add(openAPI bool, change func(d map[string]any)) {
	w.t.Helper()
	w.load(w.t, openAPI, w.definition(openAPI, change), false)
}

func (w *tykWalk) definition(openAPI bool, change func(d map[string]any)) map[string]any {
	w.t.Helper()
	made := classic
	if openAPI {
		made = func(config map[string]any, upstream, plugin string) map[string]any {
			return shapes()[3].definition(config, upstream, plugin)
		}
	}
	d := made(object(w.t, plugintest.NewConfig(w.issuer.URL).JSON(w.t)), w.upstream.URL, os.Getenv("TYK_PLUGIN"))
	if change != nil {
		change(d)
	}
	return d
}

// get asks for a path with a token.
func (w *tykWalk) get(path, token string, header ...string) (status int, body string, answer http.Header) {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text), response.Header
}

func (w *tykWalk) token(user, client string) string {
	return w.issuer.Grant(plugintest.Token{Subject: user, Client: client, Scopes: []string{"eventcatalog.read", "shoppingbasket.read"}})
}

func (w *tykWalk) want(what string, status, got int) {
	w.t.Helper()
	if got != status {
		w.t.Errorf("%s: answered %d; want %d", what, got, status)
	}
}

// protected asks for a path with a token and without one: the first gets to the API as a JWT for audience, the second nowhere.
func (w *tykWalk) protected(path, audience string, header ...string) {
	w.t.Helper()
	what := fmt.Sprint(path, header)
	status, body, _ := w.get(path, w.token("alice", "mobile"), header...)
	if last, _ := w.upstream.Last(); status != 200 || last.Claims()["aud"] != audience {
		w.t.Errorf("%s: answered %d %s; the API got %v", what, status, body, last.Claims())
	}
	status, _, _ = w.get(path, "", header...)
	w.want(what+" without a token", 401, status)
}

func (w *tykWalk) redisKeys(pattern string) string {
	w.t.Helper()
	keys, err := exec.Command("redis-cli", "-p", w.redis[strings.LastIndex(w.redis, ":")+1:], "keys", pattern).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(string(keys))
}

// TestRealRateLimit: a policy's limits are per user and client, whichever of their tokens comes.
func TestRealRateLimit(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		at(d, "config_data")["session"] = map[string]any{"policiesByClient": map[string]any{"mobile": []string{"limited"}, "other": []string{"quota"}}}
	})
	for i := range 5 {
		status, _, _ := w.get(plugintest.Events, w.token("alice", "mobile")) // another token each time
		want := 200
		if i >= 3 {
			want = 429
		}
		w.want(fmt.Sprintf("alice's request %d", i+1), want, status)
	}
	status, _, _ := w.get(plugintest.Events, w.token("bob", "mobile"))
	w.want("bob, by the same client", 200, status)
	status, _, _ = w.get(plugintest.Events, w.token("alice", "partner"))
	w.want("alice, by another client without a policy", 200, status)
	if keys := w.redisKeys("apikey-*"); keys != "" { // Tyk does so for a session that has a quota
		t.Errorf("sessions were written to Redis: %s", keys)
	}
	for i := range 6 {
		status, _, _ := w.get(plugintest.Events, w.token("alice", "other"))
		want := 200
		if i >= 4 {
			want = 403
		}
		w.want(fmt.Sprintf("request %d of a quota of 4", i+1), want, status)
	}
	// Each is counted under a name of its own: 32 bits would be 8 digits.
	for _, key := range strings.Fields(w.redisKeys("quota-*")) {
		if digits := key[strings.LastIndexByte(key, '-')+1:]; len(digits) < 32 {
			t.Errorf("a quota is counted as %s", key)
		}
	}
}

// TestRealResponseCache: one user's cached answer is never another's.
func TestRealResponseCache(t *testing.T) {
	w := newTykWalk(t)
	w.upstream.Handle(func(rw http.ResponseWriter, r *http.Request) {
		received, _ := w.upstream.Last()
		fmt.Fprintf(rw, "for %v", received.Claims()["sub"])
	})
	w.add(false, func(d map[string]any) {
		d["cache_options"] = map[string]any{"enable_cache": true, "cache_all_safe_requests": true, "cache_timeout": 60}
		noneOfSeveral(d)
	})
	alice := w.token("alice", "mobile")
	_, first, _ := w.get(plugintest.Events, alice)
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, again, header := w.get(plugintest.Events, alice)
		if again != "for alice" || first != "for alice" {
			t.Fatalf("alice got %q, then %q", first, again)
		}
		if header.Get("X-Tyk-Cached-Response") == "1" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was cached")
		}
	}
	if _, body, _ := w.get(plugintest.Events, w.token("bob", "mobile")); body != "for bob" {
		t.Errorf("bob got %q", body)
	}
	if _, body, _ := w.get(plugintest.Events, w.token("alice", "partner")); body != "for alice" {
		t.Errorf("alice by another client got %q", body)
	}
	w.issuer.Revoke(alice)
	eventually(t, "a revoked token gets nothing from Tyk's cache", func() bool {
		status, _, _ := w.get(plugintest.Events, alice)
		return status == 401
	})
}

// TestRealLoop: an API that passes a request on to another one (tyk://) passes the client's reference on, and not its own phantom
// token; and the next one judges by its own rules, whatever kind of definition the two have.
func TestRealLoop(t *testing.T) {
	for _, pair := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} { // OAS?
		t.Run(fmt.Sprint(pair), func(t *testing.T) {
			w := newTykWalk(t)
			named := func(openAPI bool, id, path string) func(d map[string]any) {
				return func(d map[string]any) {
					if openAPI {
						at(d, "x-tyk-api-gateway", "info")["id"] = id
						at(d, "x-tyk-api-gateway", "info")["name"] = id
						at(oasServer(d), "listenPath")["value"] = path
						return
					}
					d["api_id"], d["name"] = id, id
					at(d, "proxy")["listen_path"] = path
				}
			}
			w.add(pair[1], func(d map[string]any) {
				named(pair[1], "inner", "/api/shoppingbasket/")(d)
				config := at(d, "config_data")
				if pair[1] {
					delete(d, "config_data")
					config = at(oasGlobal(d), "pluginConfig", "data", "value")
				}
				rule := map[string]any{"path": "/api/*", "audience": "shoppingbasket", "scopes": map[string]any{"all": []string{"shoppingbasket.read"}}}
				config["routes"] = []any{rule} // a classic API rewrites the path, an OAS one with a tyk:// upstream does not
			})
			w.add(pair[0], func(d map[string]any) {
				named(pair[0], "outer", "/api/eventcatalog/")(d)
				if pair[0] {
					at(d, "x-tyk-api-gateway", "upstream")["url"] = "tyk://inner/"
					return
				}
				at(d, "version_data", "versions", "Default")["extended_paths"] = map[string]any{"url_rewrites": []any{
					map[string]any{"path": "/events", "method": "GET", "match_pattern": ".*", "rewrite_to": "tyk://inner" + plugintest.Basket},
				}}
			})
			status, body, _ := w.get(plugintest.Events, w.token("alice", "mobile"))
			last, _ := w.upstream.Last()
			if status != 200 || last.Claims()["aud"] != "shoppingbasket" || last.Claims()["scope"] != "shoppingbasket.read" {
				t.Errorf("answered %d %s; the inner API's upstream got %v at %s", status, body, last.Claims(), last.Path)
			}
			before := len(w.upstream.Received())
			status, _, _ = w.get(plugintest.Events, w.issuer.GrantScopes("eventcatalog.read"))
			if status == 200 || len(w.upstream.Received()) != before {
				t.Errorf("a token without the inner API's scope was answered %d", status)
			}
		})
	}
}

// raw sends a request as it is written, and returns the answer's status.
func (w *tykWalk) raw(target string, headers ...string) int {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, strings.Join(append([]string{"GET " + target + " HTTP/1.1", "Host: inner"}, headers...), "\r\n")+"\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestRealClientsOwnLoop: Tyk follows an address tyk:// also when it is the client's. What was let through to one API, an open route
// even, would come to another, to one that is not reachable from outside even: that it would is seen at an API without our symbols.
func TestRealClientsOwnLoop(t *testing.T) {
	w := newTykWalk(t)
	bare := func(id string, internal bool) func(d map[string]any) {
		return func(d map[string]any) {
			d["api_id"], d["name"], d["internal"], d["use_keyless"] = id, id, internal, true
			at(d, "proxy")["listen_path"] = "/" + id + "/"
			at(d, "version_data", "versions", "Default")["global_headers"] = map[string]any{"X-By-Way-Of": id}
			delete(d, "custom_middleware")
			delete(d, "config_data")
		}
	}
	w.add(false, func(d map[string]any) { at(d, "proxy")["preserve_host_header"] = true })
	w.add(false, bare("inner", true))
	w.add(false, bare("bare", false))
	w.want("the internal API from outside", 404, w.raw("/inner/x"))
	w.want("the internal API by way of one without our symbols", 200, w.raw("tyk://inner/bare/x"))
	if last, _ := w.upstream.Last(); last.Header.Get("X-By-Way-Of") != "inner" {
		t.Fatalf("by way of %q", last.Header.Get("X-By-Way-Of"))
	}
	before := len(w.upstream.Received())
	w.want("the internal API by way of one of ours", 400, w.raw("tyk://inner"+plugintest.Health))
	w.want("a header that asks for an API by the host's name", 200, w.raw(plugintest.Health, "X-Tyk-Internal: true"))
	for _, got := range w.upstream.Received()[before:] {
		if got.Header.Get("X-By-Way-Of") != "" || got.Header.Get("X-Tyk-Internal") != "" {
			t.Errorf("an upstream got %s %s %v", got.Method, got.Path, got.Header)
		}
	}
}

// TestRealAbsoluteForm: rewrites go by the whole address. The host that a client writes into it changes neither whether one applies
// nor where it leads.
func TestRealAbsoluteForm(t *testing.T) {
	w := newTykWalk(t)
	public := plugintest.NewUpstream(t)
	_, publicHost, _ := strings.Cut(public.URL, "//")
	w.add(false, func(d map[string]any) {
		at(d, "version_data", "versions", "Default")["extended_paths"] = map[string]any{"url_rewrites": []any{
			map[string]any{"path": plugintest.Events, "method": "GET", "match_pattern": "^" + plugintest.Events + "$", "rewrite_to": "/rewritten"},
			map[string]any{"path": plugintest.Health, "method": "GET", "match_pattern": ".*", "rewrite_to": public.URL + "/public"},
		}}
	})
	authorization := "Authorization: Bearer " + w.token("alice", "mobile")
	for _, before := range []string{"", w.url, "http://" + publicHost, "http://user:secret@" + publicHost} {
		w.want("a rewrite of the path, to "+before, 200, w.raw(before+plugintest.Events, authorization))
		if last, _ := w.upstream.Last(); last.Path != "/rewritten" {
			t.Errorf("to %q: the API was asked for %s", before, last.Path)
		}
		here, there := len(w.upstream.Received()), len(public.Received())
		w.want("a rewrite to another host, to "+before, 200, w.raw(before+plugintest.Health))
		if len(w.upstream.Received()) != here || len(public.Received()) != there+1 {
			t.Errorf("to %q: the API got what was for the public host", before)
		}
	}
}

// TestRealFileThatSaysKeyless: of an OAS API's two files Tyk goes by the classic one. When that says keyless by mistake, the
// hooks decide all the same.
func TestRealFileThatSaysKeyless(t *testing.T) {
	w := newTykWalk(t)
	w.add(true, nil)
	files, err := filepath.Glob(filepath.Join(w.folder, "apps", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "-oas.json") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		definition := object(t, content)
		definition["use_keyless"] = true
		if err := os.WriteFile(file, text(t, definition), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.control(t, "GET", "/tyk/reload/?block=true", nil)
	w.protected(plugintest.Events, "eventcatalog")
}

// TestRealIgnored: a path that Tyk ignores is judged by our rules all the same.
func TestRealIgnored(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		at(d, "version_data", "versions", "Default")["extended_paths"] = map[string]any{"ignored": []any{
			map[string]any{"path": plugintest.Events, "method_actions": map[string]any{"GET": map[string]any{"action": "no_action", "code": 200, "data": "", "headers": map[string]any{}}}},
		}}
	})
	w.protected(plugintest.Events, "eventcatalog")
	status, _, _ := w.get(plugintest.Health, "")
	w.want("an open route", 200, status)
}

// TestRealIgnoredOperation: so does that of an OAS operation (ignoreAuthentication).
func TestRealIgnoredOperation(t *testing.T) {
	w := newTykWalk(t)
	w.add(true, func(d map[string]any) {
		at(d, "paths", plugintest.Events, "get")["operationId"] = "events"
		at(d, "paths", plugintest.Events, "get", "responses", "200")["description"] = "events"
		at(d, "x-tyk-api-gateway", "middleware", "operations", "events", "ignoreAuthentication")["enabled"] = true
	})
	w.protected(plugintest.Events, "eventcatalog")
}

// TestRealBaseOfVersions: a base API gives requests for its other versions to other APIs, which judge by their own rules, and it by its.
func TestRealBaseOfVersions(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		d["api_id"], d["name"] = "second", "second"
		at(d, "proxy")["listen_path"] = "/second/"
		rule := map[string]any{"path": "/*", "audience": "shoppingbasket", "scopes": map[string]any{"all": []string{"shoppingbasket.read"}}}
		at(d, "config_data")["routes"] = []any{rule}
	})
	w.add(false, func(d map[string]any) {
		d["definition"] = map[string]any{
			"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "X-Version", "versions": map[string]any{"v2": "second"},
		}
	})
	for version, audience := range map[string]string{"": "eventcatalog", "v1": "eventcatalog", "v2": "shoppingbasket"} {
		w.protected(plugintest.Events, audience, "X-Version", version)
	}
	status, _, _ := w.get(plugintest.Events, w.issuer.GrantScopes("eventcatalog.read"), "X-Version", "v2")
	w.want("a token of the first version's at the second", 403, status)
}

// TestRealVersioned: a version by header, whichever it is, goes by the same rules.
func TestRealVersioned(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		d["version_data"] = map[string]any{"not_versioned": false, "default_version": "v1", "versions": map[string]any{
			"v1": map[string]any{"name": "v1", "use_extended_paths": true}, "v2": map[string]any{"name": "v2", "use_extended_paths": true},
		}}
	})
	for _, version := range []string{"v1", "v2"} {
		w.protected(plugintest.Events, "eventcatalog", "X-Api-Version", version)
	}
}

// TestRealCORS: Tyk's own CORS answers preflights before any plugin, and protects as before.
func TestRealCORS(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		d["CORS"] = map[string]any{"enable": true, "allowed_origins": []string{"https://www.example.com"}, "allowed_methods": []string{"GET"}, "allowed_headers": []string{"Authorization"}}
	})
	r, _ := http.NewRequest("OPTIONS", w.url+plugintest.Events, nil)
	r.Header.Set("Origin", "https://www.example.com")
	r.Header.Set("Access-Control-Request-Method", "GET")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.Header.Get("Access-Control-Allow-Origin") != "https://www.example.com" {
		t.Errorf("preflight: %d %v", response.StatusCode, response.Header)
	}
	status, _, header := w.get(plugintest.Events, "", "Origin", "https://www.example.com")
	w.want("without a token", 401, status)
	if header.Get("Access-Control-Allow-Origin") == "" {
		t.Error("a page could not read the refusal")
	}
	if n := len(w.upstream.Received()); n != 0 {
		t.Errorf("%d requests reached the API", n)
	}
}

// TestRealRefused: definitions that cannot be protected answer 500, classic and OAS.
func TestRealRefused(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, func(d map[string]any) {
		d["CORS"] = map[string]any{"enable": true, "options_passthrough": true}
		at(d, "proxy")["listen_path"] = "/classic/"
	})
	w.add(true, func(d map[string]any) {
		at(d, "x-tyk-api-gateway", "info")["id"] = "oas"
		at(oasServer(d), "listenPath")["value"] = "/oas/"
		at(oasServer(d), "detailedActivityLogs")["enabled"] = true
	})
	for path, says := range map[string]string{"/classic/x": "options_passthrough lets", "/oas/x": "detailed recording"} {
		status, body, _ := w.get(path, "")
		if status != 500 || !strings.Contains(body, "configuration_refused") {
			t.Errorf("%s: answered %d %s", path, status, body)
		}
		if !strings.Contains(w.log(t), says) {
			t.Errorf("%s: the log does not say %q", path, says)
		}
	}
}

// TestRealOperations: rules by operationId, below a listen path that is stripped.
func TestRealOperations(t *testing.T) {
	w := newTykWalk(t)
	w.add(true, func(d map[string]any) {
		at(oasServer(d), "listenPath")["value"] = "/shop/"
		at(oasServer(d), "listenPath")["strip"] = true
		responses := map[string]any{"200": map[string]any{"description": "it"}}
		d["paths"] = map[string]any{"/orders/{id}": map[string]any{
			"parameters": []any{map[string]any{"name": "id", "in": "path", "required": true, "schema": map[string]any{"type": "string"}}},
			"get":        map[string]any{"operationId": "getOrder", "responses": responses},
			"delete":     map[string]any{"operationId": "deleteOrder", "responses": responses},
		}}
		at(oasGlobal(d), "pluginConfig", "data", "value")["routes"] = []any{
			map[string]any{"operationId": "getOrder", "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}},
		}
	})
	status, body, _ := w.get("/shop/orders/7", w.token("alice", "mobile"))
	if last, _ := w.upstream.Last(); status != 200 || last.Path != "/orders/7" || last.Claims()["aud"] != "eventcatalog" {
		t.Errorf("answered %d %s; the API got %+v", status, body, last)
	}
	status, _, _ = w.get("/shop/orders/7/lines", w.token("alice", "mobile"))
	w.want("no operation", 404, status)
}

// TestRealAnalytics: a hit is recorded for the user and client; no token is.
func TestRealAnalytics(t *testing.T) {
	w := newTykWalk(t)
	w.add(false, nil)
	token := w.token("alice", "mobile")
	w.get(plugintest.Events, token)
	jwt, _ := w.upstream.Last()
	eventually(t, "the hit is recorded", func() bool {
		records, err := exec.Command("redis-cli", "-p", w.redis[strings.LastIndex(w.redis, ":")+1:], "--raw", "eval",
			`local all = {} for _, key in ipairs(redis.call('keys', '*analytics*')) do if redis.call('type', key).ok == 'list' then for _, v in ipairs(redis.call('lrange', key, 0, -1)) do table.insert(all, v) end end end return table.concat(all)`, "0").Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(records), token) || strings.Contains(string(records), jwt.Bearer()) {
			t.Fatal("a token is in the analytics")
		}
		return strings.Contains(string(records), "mobile/alice")
	})
}

// TestRealReloads: a thousand reloads under load, each fiftieth of which brings changed definitions, leave no goroutine and no
// stream of ours, and no request is refused. What the process's memory did is logged, for Tyk's own part in it is not ours to judge.
func TestRealReloads(t *testing.T) {
	w := newTykWalk(t)
	changed := func(openAPI bool, n int) map[string]any {
		return w.definition(openAPI, func(d map[string]any) {
			var config map[string]any
			if !openAPI {
				config = at(d, "config_data")
			} else {
				config = at(oasGlobal(d), "pluginConfig", "data", "value")
				at(d, "x-tyk-api-gateway", "info")["id"] = "open"
				at(oasServer(d), "listenPath")["value"] = "/api/shoppingbasket/"
			}
			delete(at(config, "issuer"), "noFeed")
			delete(config, "cache")
			config["identityHeaders"] = []string{fmt.Sprint("X-Changed-", n)}
		})
	}
	kinds := []bool{false, true} // classic and OAS
	for _, openAPI := range kinds {
		w.load(t, openAPI, changed(openAPI, 0), false)
	}
	token := w.token("alice", "mobile")
	w.get(plugintest.Events, token)
	w.get(plugintest.Basket, token)
	eventually(t, "the feed is heard", w.issuer.FeedHeard)
	ours := func() int {
		r, _ := http.NewRequest("GET", w.url+"/debug/pprof/goroutine?debug=2", nil)
		r.Header.Set("X-Tyk-Authorization", controlSecret)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		stacks, _ := io.ReadAll(response.Body)
		n := 0
		for _, stack := range strings.Split(string(stacks), "\n\n") {
			if strings.Contains(stack, "phantomgate") {
				n++
			}
		}
		return n
	}
	for range 20 {
		w.control(t, "GET", "/tyk/reload/?block=true", nil)
		w.get(plugintest.Events, token)
		w.get(plugintest.Basket, token)
	}
	l := newLoader(t, w.url, token)
	before, asked, began := ours(), len(w.issuer.Asked()), time.Now()
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		requests := 0
		for {
			select {
			case <-stop:
				stopped <- requests
				return
			default:
				l.load(plugintest.Events, 160)
				l.load(plugintest.Basket, 160)
				requests += 320
			}
		}
	}()
	warm := 0 // MiB
	for i := range 1000 {
		if i%100 == 0 {
			t.Logf("after %d reloads: %d MiB resident, %d goroutines of ours", i, w.memory(), ours())
		}
		if i == 100 {
			warm = w.memory()
		}
		if i%50 == 49 {
			for _, openAPI := range kinds {
				w.load(t, openAPI, changed(openAPI, i), true)
			}
		}
		w.control(t, "GET", "/tyk/reload/?block=true", nil)
	}
	close(stop)
	requests := <-stopped
	eventually(t, fmt.Sprintf("no more goroutines of ours than the %d before", before), func() bool { return ours() <= before })
	t.Logf("1000 reloads and %d requests in %s: goroutines of ours %d, then %d; %d MiB resident; the issuer was asked %d times in between",
		requests, time.Since(began).Round(time.Second), before, ours(), w.memory(), len(w.issuer.Asked())-asked)
	if n := w.issuer.FeedStreams(); n != 1 {
		t.Errorf("%d streams; want 1", n)
	}
	if now := w.memory(); now > warm*5/4 {
		t.Errorf("%d MiB are resident, and %d were after a hundred reloads", now, warm)
	}
}

// memory returns the process's resident memory in MiB.
func (w *tykWalk) memory() int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	match := regexp.MustCompile(`VmRSS:\s+(\d+)`).FindStringSubmatch(string(status))
	kib, _ := strconv.Atoi(match[1])
	return kib / 1024
}

// TestRealBundle: a bundle brings plugin and lists, the definition the configuration.
func TestRealBundle(t *testing.T) {
	w := newTykWalk(t)
	bundle := t.TempDir()
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(bundle, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	plugin, err := os.ReadFile(os.Getenv("TYK_PLUGIN"))
	if err != nil {
		t.Fatal(err)
	}
	write("phantomgate.so", plugin)
	custom := at(classic(nil, "", "phantomgate.so"), "custom_middleware")
	write("manifest.json", text(t, map[string]any{"file_list": []string{"phantomgate.so"}, "custom_middleware": custom, "checksum": "", "signature": ""}))
	build := exec.Command(os.Getenv("TYK_BIN"), "bundle", "build", "-y", "-o", filepath.Join(w.folder, "bundles", "phantomgate.zip"))
	build.Dir = bundle
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.add(false, func(d map[string]any) {
		d["custom_middleware"] = map[string]any{"driver": "goplugin"}
		d["custom_middleware_bundle"] = "phantomgate.zip"
		at(d, "proxy")["listen_path"] = "/api/eventcatalog/"
	})
	w.add(true, func(d map[string]any) {
		global := oasGlobal(d)
		delete(global, "prePlugins")
		delete(global, "postPlugins")
		at(global, "pluginConfig")["bundle"] = map[string]any{"enabled": true, "path": "phantomgate.zip"}
		delete(at(oasServer(d), "authentication", "custom"), "config")
		at(d, "x-tyk-api-gateway", "info")["id"], at(d, "x-tyk-api-gateway", "info")["name"] = "oas", "oas"
		at(oasServer(d), "listenPath")["value"] = "/api/shoppingbasket/"
	})
	for path, audience := range map[string]string{plugintest.Events: "eventcatalog", plugintest.Basket: "shoppingbasket"} {
		w.protected(path, audience)
	}
}

// TestRealDocumented: the definitions of docs/tyk.md, but for their addresses.
func TestRealDocumented(t *testing.T) {
	loaded := 0
	for _, block := range documented(t) {
		definition := object(t, block)
		_, openAPI := definition["openapi"]
		if _, classic := definition["api_id"]; !openAPI && !classic {
			continue
		}
		loaded++
		t.Setenv("PHANTOMGATE_SECRET", at(object(t, plugintest.NewConfig("https://x").JSON(t)), "issuer")["clientSecret"].(string))
		w := newTykWalk(t)
		here := strings.NewReplacer("/opt/tyk-gateway/middleware/phantomgate.so", os.Getenv("TYK_PLUGIN"),
			"https://id.example.com", w.issuer.URL, "http://eventcatalog:9001", w.upstream.URL)
		w.load(t, openAPI, object(t, []byte(here.Replace(string(block)))), false)
		w.protected(plugintest.Events, "eventcatalog")
		if openAPI {
			status, _, _ := w.get(plugintest.Events+"/7", w.token("alice", "mobile"))
			w.want("an operation", 200, status)
		}
	}
	if loaded != 2 {
		t.Errorf("%d definitions on the page; want a classic one and an OAS", loaded)
	}
}

// TestRealComposeDefinitions: the definitions of docker-compose's profile tyk, as files, classic and OAS, and its gateway's config,
// but for names and addresses of the containers.
func TestRealComposeDefinitions(t *testing.T) {
	w := newTykWalkWith(t, func(config map[string]any) {
		content, err := os.ReadFile("../../testbed/cmd/secrets/tyk.conf")
		if err != nil {
			t.Fatal(err)
		}
		shipped := object(t, content)
		for _, name := range []string{"listen_port", "secret", "template_path", "middleware_path", "app_path", "pid_file_location", "storage"} {
			if shipped[name] == nil {
				t.Errorf("the config has no %s", name)
			}
			shipped[name] = config[name]
		}
		shipped["listen_address"], shipped["control_api_port"] = config["listen_address"], json.Number(freePort(t))
		shipped["pid_file_location"] = filepath.Join(config["middleware_path"].(string), "pid")
		clear(config)
		maps.Copy(config, shipped)
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(at(object(t, plugintest.NewConfig(w.issuer.URL).JSON(t)), "issuer")["clientSecret"].(string)), 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../deploy/compose/tyk/apps/*.json")
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		here := strings.NewReplacer("/opt/tyk-gateway/middleware/phantomgate.so", os.Getenv("TYK_PLUGIN"), "/secrets/gateway.secret", secret,
			"http://localhost:8090", w.issuer.URL, "http://issuer:8090", w.issuer.URL, "http://eventcatalog:9000", w.upstream.URL, "http://shoppingbasket:9000", w.upstream.URL)
		if err := os.WriteFile(filepath.Join(w.folder, "apps", filepath.Base(file)), []byte(here.Replace(string(content))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.control(t, "GET", "/tyk/reload/?block=true", nil)
	if status, _, _ := w.get("/tyk/apis", ""); status != 404 {
		t.Errorf("Tyk's own API is at the published port: %d", status)
	}
	for path, audience := range map[string]string{plugintest.Events: "eventcatalog", plugintest.Basket: "shoppingbasket"} {
		w.protected(path, audience)
	}
}
