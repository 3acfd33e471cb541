package main

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newLoggedHooks() (*hooks, *logBuffer) {
	log := &logBuffer{}
	return newHooks(slog.New(slog.NewTextHandler(log, nil))), log
}

// compiled returns what h makes of a definition, released when the test ends.
func compiled(t testing.TB, h *hooks, loaded *loadedAPI) *api {
	t.Helper()
	a := h.definitions.of(loaded.inject(httptest.NewRequest("GET", "/", nil)))
	if a.release != nil {
		t.Cleanup(a.release)
	}
	return a
}

// walked is one API before an issuer and an upstream.
type walked struct {
	issuer   *plugintest.Issuer
	upstream *plugintest.Upstream
	hooks    *hooks
	log      *logBuffer
}

func newWalked(t *testing.T) *walked {
	w := &walked{issuer: plugintest.NewIssuer(t), upstream: plugintest.NewUpstream(t)}
	w.hooks, w.log = newLoggedHooks()
	return w
}

// load loads an API of a shape, changed.
func (w *walked) load(t *testing.T, s shape, change func(d map[string]any)) *loadedAPI {
	t.Helper()
	definition := s.definition(object(t, plugintest.NewConfig(w.issuer.URL).JSON(t)), w.upstream.URL, "p.so")
	if change != nil {
		change(definition)
	}
	loaded := newLoadedAPI(t, s.oas, definition)
	if a := compiled(t, w.hooks, loaded); a.faults != nil {
		t.Fatal(a.faults)
	}
	return loaded
}

// TestPanicRefuses: a hook that panics answers 500, and nothing reaches the API.
func TestPanicRefuses(t *testing.T) {
	w := newWalked(t)
	loaded := w.load(t, shapes()[1], nil)
	panics := func(http.ResponseWriter, *http.Request, *api) (passed, bool) { panic("canary") }
	for name, replaced := range map[string]func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request)){
		"pre": func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request)) {
			return guarded(h, panics), guarded(h, h.auth), guarded(h, h.post)
		},
		"auth": func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request)) {
			return guarded(h, h.pre), guarded(h, panics), guarded(h, h.post)
		},
		"post": func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request)) {
			return guarded(h, h.pre), guarded(h, h.auth), guarded(h, panics)
		},
	} {
		rec := httptest.NewRecorder()
		loaded.chain(w.hooks, w.upstream.URL, replaced).ServeHTTP(rec, httptest.NewRequest("GET", plugintest.Health, nil))
		if rec.Code != 500 || strings.Contains(rec.Body.String(), "canary") {
			t.Errorf("%s: answered %d %s", name, rec.Code, rec.Body)
		}
	}
	if n := len(w.upstream.Received()); n != 0 {
		t.Errorf("%d requests reached the API", n)
	}
	if !strings.Contains(w.log.String(), "canary") {
		t.Error("the panic is not in the log")
	}
}

func guarded(h *hooks, hook hook) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) { h.guard(w, r, hook) }
}

// TestNoDefinition: a request that comes without a definition is refused.
func TestNoDefinition(t *testing.T) {
	h := newHooks(discard())
	rec := httptest.NewRecorder()
	h.guard(rec, httptest.NewRequest("GET", "/", nil), h.auth)
	if rec.Code != 500 {
		t.Errorf("answered %d", rec.Code)
	}
}

// TestLoop: an API that passes a request on to another one (tyk://) has swapped the token for its own audience; the next
// one gets its own, of the reference that the client sent.
func TestLoop(t *testing.T) {
	for _, pair := range loops() {
		t.Run(pair[0].name+" to "+pair[1].name, func(t *testing.T) {
			w := newWalked(t)
			outer, inner := w.load(t, pair[0], nil), w.load(t, pair[1], nil)
			reference := w.issuer.Grant(plugintest.Token{Scopes: []string{"eventcatalog.read", "shoppingbasket.read"}})
			r := httptest.NewRequest("GET", plugintest.Events, nil)
			r.Header.Set("Authorization", "Bearer "+reference)
			for i, step := range []struct {
				api  *loadedAPI
				path string
				aud  string
			}{{outer, plugintest.Events, "eventcatalog"}, {inner, plugintest.Basket, "shoppingbasket"}} {
				r.URL.Path = step.path
				step.api.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(httptest.NewRecorder(), r)
				received := w.upstream.Received()
				if len(received) != i+1 || received[i].Claims()["aud"] != step.aud {
					t.Fatalf("step %d: the API received %v", i, received)
				}
			}
		})
	}
}

// TestAddressInAbsoluteForm: what comes after a hook does not learn of the host that a client wrote into its request line.
func TestAddressInAbsoluteForm(t *testing.T) {
	w := newWalked(t)
	for _, keyless := range []bool{true, false} {
		loaded := w.load(t, only(shapes()[1], keyless), nil)
		for _, path := range []string{plugintest.Events, plugintest.Health} {
			r := httptest.NewRequest("GET", "http://user:secret@pub.example:9001"+path+"?x=%2f", nil)
			before := r.URL
			r.Header.Set("Authorization", "Bearer "+w.issuer.GrantScopes("eventcatalog.read"))
			called := w.hooks.auth
			if keyless {
				called = w.hooks.pre
			}
			rec := httptest.NewRecorder()
			w.hooks.guard(rec, loaded.inject(r), called)
			if r.URL.String() != path+"?x=%2f" || r.Host != "pub.example:9001" || rec.Body.Len() > 0 {
				t.Errorf("keyless %t: %s at %s, answered %s", keyless, r.URL, r.Host, rec.Body)
			}
			if before.Host == "" {
				t.Error("an address that others may have was changed")
			}
		}
	}
}

// TestLoopThatNobodyExpected: of a request to an API from which nothing leads to another one nothing is remembered. Where it is
// passed on all the same, the next API refuses it: the reference is not there any more.
func TestLoopThatNobodyExpected(t *testing.T) {
	for _, keyless := range []bool{true, false} {
		for _, inner := range shapes() {
			w := newWalked(t)
			outer, next := w.load(t, only(shapes()[1], keyless), nil), w.load(t, inner, nil)
			r := httptest.NewRequest("GET", plugintest.Events, nil)
			r.Header.Set("Authorization", "Bearer "+w.issuer.GrantScopes("eventcatalog.read", "shoppingbasket.read"))
			outer.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(httptest.NewRecorder(), r)
			if n := len(w.upstream.Received()); n != 1 {
				t.Fatalf("%d requests reached the outer API", n)
			}
			rec := httptest.NewRecorder()
			r.URL.Path = plugintest.Basket
			next.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(rec, r)
			if n := len(w.upstream.Received()); n != 1 || rec.Code != 401 && rec.Code != 500 {
				t.Errorf("keyless %t, then %s: answered %d, and %d requests reached an API", keyless, inner.name, rec.Code, n)
			}
		}
	}
}

// loops are the pairs of shapes of an API that passes a request on and of the next one.
func loops() (pairs [][2]shape) {
	for _, outer := range shapes() {
		for _, inner := range shapes() {
			pairs = append(pairs, [2]shape{outer, inner})
		}
	}
	return pairs
}

// TestLoopIsJudgedAnew: an API that passes a request to itself, or on, lets nothing pass for having let it pass before.
func TestLoopIsJudgedAnew(t *testing.T) {
	for _, pair := range loops() {
		t.Run(pair[0].name+" to "+pair[1].name, func(t *testing.T) {
			w := newWalked(t)
			outer, inner := w.load(t, pair[0], nil), w.load(t, pair[1], nil)
			if pair[0].name == pair[1].name {
				inner = outer
			}
			r := httptest.NewRequest("GET", plugintest.Events, nil)
			r.Header.Set("Authorization", "Bearer "+w.issuer.GrantScopes("eventcatalog.read"))
			outer.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(httptest.NewRecorder(), r)
			r.URL.Path = plugintest.Basket
			rec := httptest.NewRecorder()
			inner.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(rec, r)
			if n := len(w.upstream.Received()); rec.Code != 403 || n != 1 {
				t.Errorf("answered %d, and %d requests reached the API; want 403 and the first one", rec.Code, n)
			}
		})
	}
}

// TestTwoDefinitions: where another API's plugins have left its definition beside ours, nobody can say which it is.
func TestTwoDefinitions(t *testing.T) {
	w := newWalked(t)
	outer, inner := w.load(t, shapes()[1], nil), w.load(t, shapes()[3], nil)
	rec := httptest.NewRecorder()
	w.hooks.guard(rec, inner.inject(outer.inject(httptest.NewRequest("GET", plugintest.Health, nil))), w.hooks.pre)
	if rec.Code != 500 {
		t.Errorf("answered %d", rec.Code)
	}
}

// TestAFileThatSaysKeyless: an OAS API is two files, and Tyk goes by the classic one, which the hooks do not see. When that says
// keyless, pre decides all the same; and what neither pre nor auth has seen, post refuses.
func TestAFileThatSaysKeyless(t *testing.T) {
	w := newWalked(t)
	loaded := w.load(t, shapes()[3], nil)
	loaded.doc.keyless = true // what the host goes by
	get := func(token string, replaced func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request))) int {
		r := httptest.NewRequest("GET", plugintest.Events, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		rec := httptest.NewRecorder()
		loaded.chain(w.hooks, w.upstream.URL, replaced).ServeHTTP(rec, r)
		return rec.Code
	}
	if status := get("", nil); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	if status := get(w.issuer.GrantScopes("eventcatalog.read"), nil); status != 200 {
		t.Errorf("with one: %d", status)
	}
	nothing := func(http.ResponseWriter, *http.Request) {}
	if status := get("", func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request)) {
		return nothing, nothing, guarded(h, h.post)
	}); status != 500 {
		t.Errorf("without pre: %d", status)
	}
}

// TestKeyIDIsNotForeseen: without the gateway's secret nobody can say under what key a user's session goes.
func TestKeyIDIsNotForeseen(t *testing.T) {
	ids := map[string]bool{}
	for _, secret := range []string{"one", "two"} {
		config := gateway.Config{Issuer: gateway.Issuer{ClientSecret: gateway.Secret(secret)}}
		key, err := config.Fingerprint("sessions in Tyk", nil)
		if err != nil {
			t.Fatal(err)
		}
		ids[newSessions("org", "api", gateway.Issuer{Issuer: "https://a"}, key, sessionRules{}).keyID("mobile", "alice")] = true
	}
	if len(ids) != 2 {
		t.Error("the same key with another secret")
	}
}

// TestOpenRoutesOfTwoAPIs have a key each.
func TestOpenRoutesOfTwoAPIs(t *testing.T) {
	key := func(api string) string {
		session, _, err := newSessions("org", api, gateway.Issuer{Issuer: "https://a"}, []byte("key"), sessionRules{}).of(nil)
		if err != nil {
			t.Fatal(err)
		}
		return session.KeyID
	}
	if one, again := key("one"), key("one"); one == key("two") || one != again {
		t.Error("open routes of two APIs share a key, or those of one do not")
	}
}

// TestSessions: who is asking, as Tyk's rate limits, quotas, response cache and analytics see it.
func TestSessions(t *testing.T) {
	w := newWalked(t)
	loaded := w.load(t, shapes()[1], func(d map[string]any) {
		at(d, "config_data")["session"] = map[string]any{
			"policies": []string{"base"}, "policiesByClient": map[string]any{"mobile": []string{"gold"}},
			"policiesByScope": map[string]any{"eventcatalog.read": []string{"readers"}},
		}
	})
	once := func(path, token string) *sessionSeen {
		t.Helper()
		r := loaded.inject(httptest.NewRequest("GET", path, nil))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		rec := httptest.NewRecorder()
		w.hooks.guard(rec, r, w.hooks.auth)
		s := ctx.GetSession(r)
		if s == nil {
			t.Fatalf("no session; answered %d %s", rec.Code, rec.Body)
		}
		if s.IsModified() {
			t.Error("the session would be written to Redis")
		}
		if s.KeyHash() != "hash of "+s.KeyID {
			t.Errorf("%s is stored under %q", s.KeyID, s.KeyHash())
		}
		return &sessionSeen{s.KeyID, s.Alias, s.OauthClientID, s.OrgID, strings.Join(s.ApplyPolicies, " "), s.Expires}
	}
	session := func(path, token string) *sessionSeen {
		t.Helper()
		first := once(path, token)
		if second := once(path, token); *second != *first { // of what is remembered
			t.Errorf("its second request's session is %+v, the first one's %+v", second, first)
		}
		return first
	}
	issue := func(sub, client string) string {
		return w.issuer.Grant(plugintest.Token{Subject: sub, Client: client, Scopes: []string{"eventcatalog.read"}})
	}
	alice := session(plugintest.Events, issue("alice", "mobile"))
	if alice.alias != "mobile/alice" || alice.client != "mobile" || alice.org != "org" || alice.policies != "base gold readers" || alice.expires == 0 {
		t.Errorf("alice's session: %+v", alice)
	}
	if again := session(plugintest.Events, issue("alice", "mobile")); again.keyID != alice.keyID {
		t.Error("another token of the same user and client is another key: limits would begin anew")
	}
	others := map[string]string{alice.keyID: "alice's"}
	for name, seen := range map[string]*sessionSeen{
		"bob's":               session(plugintest.Events, issue("bob", "mobile")),
		"alice's by partner":  session(plugintest.Events, issue("alice", "partner")),
		"an odd one's":        session(plugintest.Events, issue("mobile", "alice")),
		"an open route's":     session(plugintest.Health, ""),
		"a cut in two's":      session(plugintest.Events, issue("lice", "mobilea")),
		"with a slash within": session(plugintest.Events, issue("x/alice", "mobile")),
	} {
		if whose := others[seen.keyID]; whose != "" {
			t.Errorf("%s session has the key of %s", name, whose)
		}
		others[seen.keyID] = name
		// Tyk looks for the hash's name in the JSON of keys that begin so.
		key, err := base64.StdEncoding.DecodeString(seen.keyID)
		if err != nil || !strings.HasPrefix(seen.keyID, "ey") || !strings.Contains(string(key), `"h":"murmur128"`) || !strings.Contains(string(key), `"org":"org"`) {
			t.Errorf("%s: key %s", name, key)
		}
	}
}

type sessionSeen struct {
	keyID, alias, client, org, policies string
	expires                             int64
}

// TestKeyIDBesideATokenHandler: an API for browsers and one for apps count a user and client under one key.
func TestKeyIDBesideATokenHandler(t *testing.T) {
	w := newWalked(t)
	keyID := func(change func(d map[string]any)) string {
		a := compiled(t, w.hooks, w.load(t, shapes()[1], change))
		return a.sessions.keyID("mobile", "alice")
	}
	if keyID(nil) != keyID(withTokenHandler) {
		t.Error("two keys")
	}
}

// TestNoCredentialIsLeft: a request that was answered has nothing left that is good elsewhere. Tyk tells of a 403 with the whole
// request.
func TestNoCredentialIsLeft(t *testing.T) {
	w := newWalked(t)
	apps, browsers := w.load(t, shapes()[1], nil), w.load(t, shapes()[1], withTokenHandler)
	bearer := map[string]string{"Authorization": "Bearer " + w.issuer.GrantScopes("eventcatalog.read")}
	cookies := map[string]string{"Cookie": "__Host-shop-at=canary; __Host-shop-csrf=canary", "X-Shop-Csrf": "canary"}
	for name, test := range map[string]struct {
		api          *loadedAPI
		hook         hook
		method, path string
		sent         map[string]string
		status       int
	}{
		"refused by pre":        {apps, w.hooks.pre, "GET", plugintest.Basket, bearer, 403},
		"refused by auth":       {apps, w.hooks.auth, "GET", plugintest.Basket, bearer, 403},
		"answered by the agent": {browsers, w.hooks.pre, "POST", "/oauth-agent/refresh", cookies, 401},
		"cookies refused":       {browsers, w.hooks.pre, "POST", plugintest.Events, cookies, 401},
		"a panic":               {apps, func(http.ResponseWriter, *http.Request, *api) (passed, bool) { panic("canary") }, "GET", plugintest.Events, bearer, 500},
		"by post":               {apps, w.hooks.post, "GET", plugintest.Events, bearer, 500},
	} {
		r := test.api.inject(httptest.NewRequest(test.method, test.path, nil))
		for header, value := range test.sent {
			r.Header.Set(header, value)
		}
		rec := httptest.NewRecorder()
		w.hooks.guard(rec, r, test.hook)
		if rec.Code != test.status {
			t.Errorf("%s: answered %d %s", name, rec.Code, rec.Body)
		}
		for _, header := range []string{"Authorization", "Cookie", "X-Shop-Csrf"} {
			if r.Header[header] != nil {
				t.Errorf("%s: %s is still there", name, header)
			}
		}
	}
}

// TestKeyIDTenants: one user and client of two tenants, or two issuers, are two keys.
func TestKeyIDTenants(t *testing.T) {
	ids := map[string]bool{}
	for _, issuer := range []gateway.Issuer{{Issuer: "https://a"}, {Issuer: "https://b"}, {Issuer: "https://a", Tenant: "two"}} {
		ids[newSessions("org", "api", issuer, []byte("key"), sessionRules{}).keyID("mobile", "alice")] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d keys; want 3", len(ids))
	}
}

// TestNoUserNoSession: a token that names no user is no session, for all of them would share it.
func TestNoUserNoSession(t *testing.T) {
	s := newSessions("org", "api", gateway.Issuer{Issuer: "https://a"}, []byte("key"), sessionRules{})
	for _, payload := range []string{`{"client_id":"mobile"}`, `{"sub":"","client_id":"mobile"}`, `[]`, `{"sub":7}`, "", "{"} {
		header := "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
		if session, _, err := s.of([]string{header}); err == nil {
			t.Errorf("%s: session %+v", payload, session)
		}
	}
	for _, header := range []string{"Bearer x", "Bearer a.%.c", ""} {
		if session, _, err := s.of([]string{header}); err == nil {
			t.Errorf("%q: session %+v", header, session)
		}
	}
}

// TestClaimsAreExact: what an issuer has copied from a user's profile under another spelling makes nobody another user.
func TestClaimsAreExact(t *testing.T) {
	s := newSessions("org", "api", gateway.Issuer{Issuer: "https://a"}, []byte("key"), sessionRules{PoliciesByScope: map[string][]string{"read": {"readers"}, "admin": {"admins"}}})
	of := func(payload string) (*user.SessionState, error) {
		session, _, err := s.of([]string{"Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"})
		return session, err
	}
	alice, err := of(`{"sub":"alice","client_id":"mobile","scope":"read","exp":1700000000}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{
		`{"sub":"alice","Sub":"bob","client_id":"mobile","CLIENT_ID":"partner","scope":"read","Scope":"admin","exp":1.7e9,"EXP":1}`,
		`{"sub":"alice","\u017fub":"bob","client_id":"mobile","\u017fcope":"admin","scope":"read","exp":1700000000.5}`,
		`{"sub":"alice","azp":"mobile","Azp":"partner","scope":"read","exp":1700000000}`,
	} {
		session, err := of(payload)
		if err != nil || session.KeyID != alice.KeyID || session.Alias != alice.Alias || session.Expires != alice.Expires || !slices.Equal(session.ApplyPolicies, alice.ApplyPolicies) {
			t.Errorf("%s: %+v, %v; want %+v", payload, session, err, alice)
		}
	}
	if session, err := of(`{"Sub":"bob","client_id":"mobile"}`); err == nil {
		t.Errorf("session %+v", session)
	}
}

// TestSessionsAreBounded: however many tokens come, two generations of them are remembered.
func TestSessionsAreBounded(t *testing.T) {
	s := newSessions("org", "api", gateway.Issuer{Issuer: "https://a"}, []byte("key"), sessionRules{})
	for i := range 3 * identityEntries {
		payload := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"u` + strconv.Itoa(i) + `"}`))
		if _, _, err := s.of([]string{"Bearer e30." + payload + ".c2ln"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.young) + len(s.old); n > 2*identityEntries {
		t.Errorf("%d are remembered", n)
	}
}
