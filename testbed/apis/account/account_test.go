package account_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/apis/account"
	"github.com/phantomgate/phantomgate/testbed/apis/apitest"
)

const (
	revoke = "/api/account/revoke"
	secret = "canary-operator-secret"
)

// admin is the issuer's token endpoint and admin API.
type admin struct {
	url     string
	mu      sync.Mutex
	refuse  string   // the path that answers 401
	revoked []string // bodies
}

func newAdmin(t *testing.T) *admin {
	t.Helper()
	a := &admin{}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, password, _ := r.BasicAuth()
	switch {
	case r.URL.Path == a.refuse:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"canary-answer"}`) // the API has gone if this fails
	case r.URL.Path == "/token" && password == secret && r.FormValue("scope") == "admin":
		_, _ = io.WriteString(w, `{"access_token":"canary-operator-token","token_type":"Bearer","expires_in":300}`) // the same
	case r.URL.Path == "/revocations" && r.Header.Get("Authorization") == "Bearer canary-operator-token":
		body, err := io.ReadAll(r.Body)
		a.revoked = append(a.revoked, fmt.Sprint(string(body), err))
		_, _ = io.WriteString(w, `{"id":"r1"}`) // the same
	default:
		w.WriteHeader(http.StatusBadRequest)
	}
}

// take gives what was revoked since it was last asked.
func (a *admin) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.revoked
	a.revoked = nil
	return taken
}

func newAPI(t *testing.T, a *admin, log io.Writer) *apitest.API {
	t.Helper()
	issuer := apitest.NewIssuer(t)
	handler, err := account.New(account.Config{
		Issuer: issuer.Name, JWKSURL: issuer.JWKSURL, TokenURL: a.url + "/token", RevocationsURL: a.url + "/revocations",
		OperatorID: "operator", OperatorSecret: secret, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return issuer.Serve(t, handler)
}

// TestRevokesTheCallerAlone sends what might make it revoke somebody else, or the caller without the right.
func TestRevokesTheCallerAlone(t *testing.T) {
	a := newAdmin(t)
	api := newAPI(t, a, io.Discard)
	for name, c := range map[string]struct {
		token, target, body string
		status              int
		revoked             []string
	}{
		"a user":                  {api.Token(t, "u-1", "account", "account.revoke"), revoke, "{}", 200, []string{`{"user":"u-1"}<nil>`}},
		"another in the body":     {api.Token(t, "u-1", "account", "account.revoke"), revoke, `{"user":"u-2","everything":true}`, 200, []string{`{"user":"u-1"}<nil>`}},
		"another in the address":  {api.Token(t, "u-1", "account", "account.revoke"), revoke + "?user=u-2&sub=u-2", "{}", 200, []string{`{"user":"u-1"}<nil>`}},
		"a job, not a user":       {api.Token(t, "mobile", "account", "account.revoke"), revoke, "{}", 403, nil},
		"without the scope":       {api.Token(t, "u-1", "account", "account.read"), revoke, "{}", 403, nil},
		"another API's token":     {api.Token(t, "u-1", "eventcatalog", "account.revoke"), revoke, "{}", 401, nil},
		"no token":                {"", revoke, "{}", 401, nil},
		"what it verified":        {api.Token(t, "u-1", "account", "account.revoke"), "/api/account/whoami", "", 405, nil},
		"a path that there isn't": {api.Token(t, "u-1", "account", "account.revoke"), "/api/account/", "{}", 404, nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := api.Call(t, "POST", c.target, c.token, c.body)
			if revoked := a.take(); status != c.status || !slices.Equal(revoked, c.revoked) {
				t.Errorf("%d %s, revoked %v", status, answer, revoked)
			}
		})
	}
}

// TestIssuerFails says so to the user, since they may believe themselves safe, and tells nobody the secrets.
func TestIssuerFails(t *testing.T) {
	for _, path := range []string{"/token", "/revocations"} {
		var log strings.Builder
		a := newAdmin(t)
		a.refuse = path
		api := newAPI(t, a, &log)
		status, answer := api.Call(t, "POST", revoke, api.Token(t, "u-1", "account", "account.revoke"), "{}")
		if status != 502 || !strings.Contains(answer, "bad_gateway") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
		if said := log.String() + answer; strings.Contains(said, "canary") || !strings.Contains(said, "could not be") {
			t.Errorf("%s: it says %s", path, said)
		}
	}
}

func TestConfigIsComplete(t *testing.T) {
	_, err := account.New(account.Config{Issuer: "https://login.example.com", JWKSURL: "https://login.example.com/jwks", Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("without an operator: %v", err)
	}
}
