package replicas

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// The app that the token handlers are for: the issuer's client "spa".
const (
	appOrigin  = "https://app.example"
	agentPath  = "/oauth-agent"
	csrfHeader = "x-shop-csrf"
	apiPath    = "/api/catalogue/events"
	accessLife = 15 * time.Minute // of the issuer's references
)

// replica is one gateway with its token handler: it has a cache, a memory of ended sessions and connections of its own, and only
// the configuration in common with others.
type replica struct {
	gateway *gateway.Gateway
}

// newReplica starts a gateway before w's issuer. A nil transport is the default.
func newReplica(t *testing.T, w *rptest.World, transport http.RoundTripper) *replica {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"issuer": map[string]any{"issuer": w.URL, "clientId": rptest.Gateway().ID, "clientSecret": rptest.Gateway().Secret},
		"cache":  map[string]any{"maxStaleness": "5m"}, // so that nothing but the feed makes a cached token end
		"tokenHandler": map[string]any{
			"cookiePrefix": "shop", "origins": []string{appOrigin},
			"cookieKeys": []map[string]any{{"id": "2026-11", "key": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))}},
			"clientId":   rptest.SPA().ID, "clientSecret": rptest.SPA().Secret,
			"redirectUri": rptest.SPA().RedirectURI, "postLogoutRedirectUris": []string{appOrigin + "/goodbye"},
			"scopes": []string{"openid", "catalogue.read"},
		},
		"routes": []any{map[string]any{"path": apiPath, "audience": "catalogue", "scopes": map[string]any{"all": []string{"catalogue.read"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := gateway.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	options := gateway.Options{Logger: slog.New(slog.DiscardHandler), Transport: transport}
	if w.Clock != nil {
		options.Now = w.Clock.Now
	}
	g, err := gateway.New(config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() }) // the issuer may have ended
	return &replica{g}
}

// ServeHTTP is the gateway with an API behind it that tells which token it was called with.
func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.gateway.ServeAgent(w, req) {
		return
	}
	outcome := r.gateway.Authorize(req)
	if refusal := outcome.Refusal(); refusal != nil {
		refusal.Write(w)
		return
	}
	outcome.Apply(req)
	if outcome.Cached {
		w.Header().Set("X-Cached", "yes")
	}
	w = outcome.Writer(w)
	_, _ = io.WriteString(w, strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")) // the recorder takes it
}

// app is the app in a browser: its cookies, and the CSRF token that it keeps in memory.
type app struct {
	t       *testing.T
	person  *browser.Browser // at the issuer's pages
	cookies map[string]string
	csrf    string
}

// logIn takes alice through a login by a replica.
func logIn(t *testing.T, w *rptest.World, r *replica) *app {
	t.Helper()
	a := &app{t: t, person: w.Browser(t), cookies: map[string]string{}}
	var start struct{ AuthorizationRequestURL string }
	a.read(a.post(r, "/login/start", ""), &start)
	page, err := a.person.LogIn(t.Context(), start.AuthorizationRequestURL, "alice", rptest.Password("alice"))
	if err != nil {
		t.Fatal(err)
	}
	address, err := json.Marshal(map[string]string{"pageUrl": page.URL.String()})
	if err != nil {
		t.Fatal(err)
	}
	var end struct {
		IsLoggedIn bool
		CSRF       string
	}
	a.read(a.post(r, "/login/end", string(address)), &end)
	if a.csrf = end.CSRF; !end.IsLoggedIn || a.csrf == "" {
		t.Fatalf("login/end: %+v", end)
	}
	return a
}

// tab is another tab of the same browser, at this moment.
func (a *app) tab() *app {
	return &app{t: a.t, person: a.person, cookies: maps.Clone(a.cookies), csrf: a.csrf}
}

func (a *app) post(r *replica, endpoint, body string) *httptest.ResponseRecorder {
	return a.send(r, http.MethodPost, agentPath+endpoint, body)
}

func (a *app) api(r *replica) *httptest.ResponseRecorder {
	return a.send(r, http.MethodGet, apiPath, "")
}

// send sends what the app's page would, and keeps the cookies of the answer as a browser does.
func (a *app) send(r *replica, method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Header.Set("Origin", appOrigin)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if a.csrf != "" {
		req.Header.Set(csrfHeader, a.csrf)
	}
	for _, name := range slices.Sorted(maps.Keys(a.cookies)) {
		req.AddCookie(&http.Cookie{Name: name, Value: a.cookies[name]})
	}
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, req)
	a.keep(answer.Result().Cookies())
	return answer
}

// keep stores cookies as a browser does.
func (a *app) keep(set []*http.Cookie) {
	for _, c := range set {
		if a.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(a.cookies, c.Name)
		}
	}
}

// read decodes a 200.
func (a *app) read(answer *httptest.ResponseRecorder, into any) {
	a.t.Helper()
	if answer.Code != http.StatusOK {
		a.t.Fatalf("answered %d %s", answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
		a.t.Fatal(err)
	}
}

// token is the id of the token that the API is called with.
func (a *app) token(r *replica) string {
	a.t.Helper()
	answer := a.api(r)
	if answer.Code != http.StatusOK {
		a.t.Fatalf("the API's answer is %d %s", answer.Code, answer.Body)
	}
	jti, _ := rptest.Claims(a.t, answer.Body.String())["jti"].(string)
	return jti
}

// caches waits until a replica answers the app's calls from its cache: then it hears the feed.
func (a *app) caches(r *replica) {
	a.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		if answer := a.api(r); answer.Code == http.StatusOK && answer.Header().Get("X-Cached") != "" {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			a.t.Fatal("the replica does not answer from its cache")
		}
	}
}

// patience is for a slow machine: nothing is asserted about it.
const patience = 30 * time.Second
