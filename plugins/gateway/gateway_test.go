package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// newGateway makes a gateway of routes over issuer, whose clock stands still.
func newGateway(t *testing.T, issuer *fakeIssuer, routes ...Route) (*Gateway, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	start := time.Now()
	g, err := New(Config{
		Issuer: Issuer{Issuer: "https://issuer.example", ClientID: "gateway", ClientSecret: "canary-secret", NoFeed: true},
		Routes: routes,
	}, Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Transport: issuer, Now: func() time.Time { return start },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if s := log.String(); strings.Contains(s, "canary") || strings.Contains(s, "pgat_") || strings.Contains(s, "eyJ") {
			t.Errorf("a secret was logged:\n%s", s)
		}
	})
	return g, &log
}

func reading(path string, scopes ...string) Route {
	return Route{Path: path, Audience: "eventcatalog", Scopes: Scopes{All: scopes}}
}

// get is a GET of path with a bearer token; an empty one is left out.
func get(path, token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set(authorization, "Bearer "+token)
	}
	return r
}

func TestAuthorize(t *testing.T) {
	issuer := newFakeIssuer(t, nil)
	g, _ := newGateway(t, issuer, reading("/events", "eventcatalog.read"), Route{Path: "/health", Open: true})
	reference := newReference(1)
	for _, wantCached := range []bool{false, true} {
		r := get("/events", reference)
		outcome := g.Authorize(r)
		if outcome.Refusal() != nil || outcome.Cached != wantCached {
			t.Fatalf("%v, cached %t", outcome.Refusal(), outcome.Cached)
		}
		if got := r.Header.Get(authorization); got != "Bearer "+reference {
			t.Errorf("Authorize changed the request: %s", got)
		}
		outcome.Apply(r)
		if got := r.Header.Values(authorization); len(got) != 1 || got[0] != "Bearer "+issuer.token {
			t.Errorf("the API gets %v", got)
		}
	}
	r := get("/health", reference)
	outcome := g.Authorize(r)
	outcome.Apply(r)
	if outcome.Refusal() != nil || r.Header.Values(authorization) != nil {
		t.Errorf("open route: %v, %v", outcome.Refusal(), r.Header)
	}
}

func TestRefusals(t *testing.T) {
	issuer := newFakeIssuer(t, nil)
	g, _ := newGateway(t, issuer, reading("/events", "eventcatalog.read"))
	twice := get("/events", newReference(1))
	twice.Header.Add(authorization, "Bearer "+newReference(2))
	post := httptest.NewRequest(http.MethodPost, "/events", nil)
	tests := map[string]struct {
		request *http.Request
		want    int
	}{
		"no route":             {get("/other", newReference(1)), 404},
		"no token":             {get("/events", ""), 401},
		"post without a token": {post, 401},
		"garbage":              {get("/events", "x"), 401},
		"a JWT":                {get("/events", issuer.token), 401},
		"one character more":   {get("/events", newReference(1)+"x"), 401},
		"two tokens":           {twice, 400},
		"no normal path":       {get("/x/../events", newReference(1)), 400},
	}
	for name, test := range tests {
		outcome := g.Authorize(test.request)
		if got := outcome.Refusal(); got == nil || got.Status != test.want {
			t.Errorf("%s: %v, want %d", name, got, test.want)
		}
		outcome.Apply(test.request) // a binding that forgets to look at Refusal
		if test.request.Header.Get(authorization) != "" {
			t.Errorf("%s: Apply left %v", name, test.request.Header)
		}
	}
	if n := issuer.asked.Load(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestIssuerTrouble(t *testing.T) {
	status := func(code int, body string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	tests := map[string]struct {
		answer func() (*http.Response, error)
		want   int
	}{
		"inactive":      {status(204, ""), 401},
		"insufficient":  {status(403, `{"error":"insufficient_scope"}`), 403},
		"wrong secret":  {status(401, ""), 502},
		"not JSON":      {status(200, "<html>"), 502},
		"failing":       {status(500, "canary"), 503},
		"refused":       {func() (*http.Response, error) { return nil, errors.New("connection refused") }, 503},
		"timing out":    {func() (*http.Response, error) { return nil, os.ErrDeadlineExceeded }, 504},
		"panics within": {func() (*http.Response, error) { panic("in the transport") }, 500},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			issuer := newFakeIssuer(t, nil)
			issuer.answer = test.answer
			g, _ := newGateway(t, issuer, reading("/events", "eventcatalog.read"))
			got := g.Authorize(get("/events", newReference(1))).Refusal()
			if got == nil || got.Status != test.want {
				t.Fatalf("%v, want %d", got, test.want)
			}
			if (got.Status == 503) != (got.RetryAfter > 0) {
				t.Errorf("retry after %v", got.RetryAfter)
			}
		})
	}
}

// TestPolicyIsJudgedOnHits: routes that ask the issuer for the same share a cached token, and each still judges it.
func TestPolicyIsJudgedOnHits(t *testing.T) {
	issuer := newFakeIssuer(t, jwt.MapClaims{"scope": "a", "acr": "pwd", "auth_time": time.Now().Add(-time.Hour).Unix()})
	any := Route{Path: "/any", Audience: "eventcatalog", Scopes: Scopes{Any: []string{"a", "b"}}}
	strong, recent := any, any
	strong.Path, strong.ACR = "/strong", []string{"mfa"}
	recent.Path, recent.MaxAge = "/recent", Duration(time.Minute)
	g, _ := newGateway(t, issuer, any, strong, recent, reading("/all", "a", "b"))
	reference := newReference(1)
	if refusal := g.Authorize(get("/any", reference)).Refusal(); refusal != nil {
		t.Fatal(refusal)
	}
	for path, want := range map[string]int{"/all": 403, "/strong": 401, "/recent": 401} {
		outcome := g.Authorize(get(path, reference))
		if got := outcome.Refusal(); got == nil || got.Status != want || !outcome.Cached {
			t.Errorf("%s: %v (cached %t), want %d from the cache", path, got, outcome.Cached, want)
		}
	}
	if n := issuer.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestPanicRefuses(t *testing.T) {
	g, log := newGateway(t, newFakeIssuer(t, nil), reading("/events", "eventcatalog.read"))
	g.asks = nil // what no configuration can bring about
	r := get("/events", newReference(1))
	outcome := g.Authorize(r)
	if got := outcome.Refusal(); got == nil || got.Status != 500 {
		t.Errorf("got %v", got)
	}
	outcome.Apply(r)
	if r.Header.Get(authorization) != "" || !strings.Contains(log.String(), "panic") {
		t.Errorf("header %v, log %s", r.Header, log)
	}
}

func TestZeroOutcomeRefuses(t *testing.T) {
	var outcome Outcome
	r := get("/events", newReference(1))
	r.Header.Set("X-User", "mallory")
	outcome.Apply(r)
	if got := outcome.Refusal(); got == nil || got.Status != 500 || len(r.Header) != 0 {
		t.Errorf("%v, %v", got, r.Header)
	}
}

func TestAuthorizeOperation(t *testing.T) {
	route := Route{OperationID: "listEvents", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.read"}}}
	g, _ := newGateway(t, newFakeIssuer(t, nil), route)
	if refusal := g.AuthorizeOperation(get("/whatever", newReference(1)), "listEvents").Refusal(); refusal != nil {
		t.Error(refusal)
	}
	if refusal := g.AuthorizeOperation(get("/whatever", newReference(1)), "other").Refusal(); refusal == nil || refusal.Status != 404 {
		t.Error(refusal)
	}
	if refusal := g.AuthorizeOperation(get("/x/..%2fwhatever", newReference(1)), "listEvents").Refusal(); refusal == nil || refusal.Status != 400 {
		t.Error(refusal)
	}
	if refusal := g.Authorize(get("/listEvents", newReference(1))).Refusal(); refusal == nil {
		t.Error("an operation answered for a path")
	}
}

// TestCachedSwapAllocations holds Authorize to what its comment says, without a feed and with one, whether or not
// something was revoked since.
func TestCachedSwapAllocations(t *testing.T) {
	r := browserRequest()
	without := filledSwap(t, 10, r)
	with, heard := followedSwap(t, 10, r)
	for name, swap := range map[string]func(int){"without a feed": without, "with one": with} {
		warm(swap, 10)
		if n := testing.AllocsPerRun(100, once(swap)); n > 1 {
			t.Errorf("%s: %v allocations, want 1 at most", name, n)
		}
	}
	heard.Apply(benchSequence+1, 7, 1, time.Now())
	if n := testing.AllocsPerRun(100, func() { with(3) }); n > 1 {
		t.Errorf("behind a revocation: %v allocations, want 1 at most", n)
	}
}

func TestSecrets(t *testing.T) {
	file := func(content string) string {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	getenv := func(name string) (string, bool) {
		secret, ok := map[string]string{"GATEWAY_SECRET": "from env", "EMPTY": ""}[name]
		return secret, ok
	}
	tests := map[string]struct {
		issuer      Issuer
		want, fault string
	}{
		"inline":         {Issuer{ClientSecret: "x"}, "x", ""},
		"env":            {Issuer{ClientSecretEnv: "GATEWAY_SECRET"}, "from env", ""},
		"env empty":      {Issuer{ClientSecretEnv: "EMPTY"}, "", "issuer.clientSecretEnv"},
		"env missing":    {Issuer{ClientSecretEnv: "NONE"}, "", "issuer.clientSecretEnv"},
		"file":           {Issuer{ClientSecretFile: file(" a b\r\n")}, " a b", ""},
		"file empty":     {Issuer{ClientSecretFile: file("\n")}, "", "issuer.clientSecretFile"},
		"file missing":   {Issuer{ClientSecretFile: file("x") + "y"}, "", "issuer.clientSecretFile"},
		"file too large": {Issuer{ClientSecretFile: file(strings.Repeat("canary", 1000))}, "", "issuer.clientSecretFile"},
		"a directory":    {Issuer{ClientSecretFile: t.TempDir()}, "", "issuer.clientSecretFile"},
	}
	for name, test := range tests {
		got, fault := test.issuer.secret().read(getenv)
		field := ""
		if fault != nil {
			field = fault.Field
			if strings.Contains(fault.Error(), "canary") {
				t.Errorf("%s: the fault tells the secret", name)
			}
		}
		if got != test.want || field != test.fault {
			t.Errorf("%s: %q, fault in %q", name, got, field)
		}
	}
	// A secret that cannot be had is reported beside the other faults.
	_, err := New(Config{Issuer: Issuer{Issuer: "https://issuer.example", ClientSecretEnv: "NONE"}}, Options{Getenv: getenv})
	for _, want := range []string{"issuer.clientSecretEnv", "issuer.clientId", "routes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is missing in: %v", want, err)
		}
	}
}

// TestUnknownErrorsRefuse: an error nobody thought of must not pass.
func TestUnknownErrorsRefuse(t *testing.T) {
	g, _ := newGateway(t, newFakeIssuer(t, nil), reading("/", "s"))
	if got := g.refusalOf(errors.New("surprise"), &policy.Route{}); got == nil || got.Status != 500 {
		t.Errorf("got %v", got)
	}
}
