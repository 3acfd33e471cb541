package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const (
	events = "/api/eventcatalog/events"
	whoami = "/api/eventcatalog/whoami"
)

// seen is what the API says it verified and got.
type seen struct {
	Claims  map[string]any    `json:"claims"`
	Headers map[string]string `json:"headers"`
}

func TestAPersonWithAnApp(t *testing.T) {
	w := inProcess(t)
	token := w.logIn(t, "mobile", "alice", "openid", "profile", "offline_access", "eventcatalog.read", "shoppingbasket.read")
	if !strings.HasPrefix(token.AccessToken, "pgat_") || len(token.AccessToken) != 54 || !strings.HasPrefix(token.RefreshToken, "pgrt_") {
		t.Fatal("the client holds something else than references")
	}
	if got := w.api(t, events, token.AccessToken, ""); got.status != http.StatusOK {
		t.Errorf("the events: status %d: %s", got.status, got.body)
	}

	got := w.api(t, whoami, token.AccessToken, "",
		"X-User", "olga", "x_user", "olga", "X-FORWARDED-USER", "olga", "X-Forwarded-User", "bob", "Revocation-Keys", "x", "X-Harmless", "kept")
	var api seen
	got.read(t, http.StatusOK, &api)
	narrowToEventcatalog(t, w, api, map[string]any{"scope": "eventcatalog.read", "client_id": "mobile", "region": "eu"}, "auth_time", "acr", "amr")
	if api.Claims["sub"] == "mobile" || api.Claims["sub"] == "alice" {
		t.Errorf("sub is %v, want a random one", api.Claims["sub"])
	}
	for name, value := range api.Headers {
		if value == "olga" || value == "bob" || name == "Revocation-Keys" {
			t.Errorf("an identity header from outside came through: %s: %s", name, value)
		}
	}
	if api.Headers["X-Harmless"] != "kept" {
		t.Error("a header that claims nothing was removed")
	}

	got = w.api(t, events, token.AccessToken, `{"name":"x"}`)
	got.refused(t, http.StatusForbidden, "insufficient_scope")
	if challenge := got.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `scope="eventcatalog.write"`) {
		t.Errorf("challenge %q does not name the scope", challenge)
	}

	// The refresh reference gives new references, and bob is somebody else.
	refreshed := w.form(t, "/oauth/token", "mobile", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}})
	var again struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	refreshed.read(t, http.StatusOK, &again)
	if again.RefreshToken == token.RefreshToken || again.AccessToken == token.AccessToken {
		t.Error("a refresh gave the same references again")
	}
	if got := w.api(t, events, again.AccessToken, ""); got.status != http.StatusOK {
		t.Errorf("after the refresh: status %d: %s", got.status, got.body)
	}
	bob := w.logIn(t, "partner", "bob", "eventcatalog.read", "eventcatalog.write")
	var other seen
	w.api(t, whoami, bob.AccessToken, "").read(t, http.StatusOK, &other)
	if other.Claims["region"] != "us" || other.Claims["sub"] == api.Claims["sub"] || other.Claims["client_id"] != "partner" {
		t.Errorf("bob at the partner: %v", other.Claims)
	}
	if got := w.api(t, events, bob.AccessToken, `{"name":"Tea at Noon","venue":"Garden","date":"2027-07-01","price":350,"currency":"EUR"}`); got.status != http.StatusCreated {
		t.Errorf("adding an event: status %d: %s", got.status, got.body)
	}
}

func TestAJob(t *testing.T) {
	w := inProcess(t)
	var api seen
	w.api(t, whoami, w.machine(t, "batch", "eventcatalog.read"), "").read(t, http.StatusOK, &api)
	narrowToEventcatalog(t, w, api, map[string]any{"scope": "eventcatalog.read", "client_id": "batch", "sub": "batch"})
}

// narrowToEventcatalog wants a phantom token for the eventcatalog alone, with these claims, and besides them only those
// that every access token has and those named; and no header that the request did not need.
func narrowToEventcatalog(t *testing.T, w *walk, api seen, want map[string]any, also ...string) {
	t.Helper()
	want["iss"], want["aud"] = w.demo.IssuerURL, "eventcatalog"
	for name, value := range want {
		if api.Claims[name] != value {
			t.Errorf("claim %s: %v, want %v", name, api.Claims[name], value)
		}
	}
	allowed := append(slices.Collect(maps.Keys(want)), append(also, "sub", "iat", "exp", "jti")...)
	for name := range api.Claims {
		if !slices.Contains(allowed, name) {
			t.Errorf("the API sees the claim %s", name)
		}
	}
	life := seconds(t, api.Claims["exp"]) - seconds(t, api.Claims["iat"])
	if life <= 0 || life > 300 {
		t.Errorf("the phantom token lives %d s, want at most 300", life)
	}
	if auth := api.Headers["Authorization"]; !strings.HasPrefix(auth, "Bearer eyJ…") {
		t.Errorf("the API got %q in place of a JWT", auth)
	}
	ordinary := []string{"Host", "User-Agent", "Accept-Encoding", "Authorization", "X-Harmless", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
	for name, value := range api.Headers {
		if !slices.Contains(ordinary, name) {
			t.Errorf("the API got the header %s: %s", name, value)
		}
	}
}

func seconds(t *testing.T, claim any) int64 {
	t.Helper()
	number, ok := claim.(json.Number)
	n, err := number.Int64()
	if !ok || err != nil {
		t.Fatalf("%v is no time: %v", claim, err)
	}
	return n
}

func TestWhatIsRefused(t *testing.T) {
	w := inProcess(t)
	token := w.machine(t, "batch", "eventcatalog.read")
	never := "pgat_00000000000000000000000000000000000000000001veP1o" // well-formed, never given to anybody
	for name, c := range map[string]struct {
		path, token string
		headers     []string
		status      int
		code        string
	}{
		"no token":            {path: events, status: 401, code: "unauthorized_request"},
		"an unknown one":      {path: events, token: never, status: 401, code: "invalid_token"},
		"garbage":             {path: events, token: "garbage", status: 401, code: "invalid_token"},
		"one letter more":     {path: events, token: token + "x", status: 401, code: "invalid_token"},
		"two tokens":          {path: events, token: token, headers: []string{"Authorization", "Bearer " + never}, status: 400, code: "invalid_request"},
		"no such route":       {path: "/api/discount/whoami", token: token, status: 404, code: "not_found"},
		"an encoded slash":    {path: "/api%2feventcatalog/events", token: token, status: 400, code: "invalid_request"},
		"a doubled slash":     {path: "//api/eventcatalog/events", token: token, status: 400, code: "invalid_request"},
		"a path with dots":    {path: "/api/x/../eventcatalog/events", token: token, status: 400, code: "invalid_request"},
		"a path parameter":    {path: "/api/eventcatalog/events;x", token: token, status: 400, code: "invalid_request"},
		"below a known route": {path: events + "/1", token: token, status: 404, code: "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			w.api(t, c.path, c.token, "", c.headers...).refused(t, c.status, c.code)
		})
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.demo.GatewayURL+events, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	req.Header.Set("Authorization", "Bearer "+token)
	if got := w.do(t, req); got.status != http.StatusMisdirectedRequest {
		t.Errorf("an unknown Host: status %d, want 421", got.status)
	}
	// The gateway's own secret opens nothing: it is no client of the API.
	if got := w.form(t, "/oauth/token", "gateway", url.Values{"grant_type": {"client_credentials"}}); got.status == http.StatusOK {
		t.Error("the gateway got itself a token")
	}
}
