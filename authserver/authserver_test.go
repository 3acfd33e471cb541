package authserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver"
	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

const machines = `
audiences:
  - {name: catalogue, title: Catalogue, scopes: [{name: catalogue.read, title: Read}]}
  - {name: admin, title: Operators, scopes: [{name: admin, title: Operate}]}
clients:
  - {id: batch, name: Batch, secret: {demo: batch-secret}, grant_types: [client_credentials], scopes: [catalogue.read]}
  - {id: operator, name: Operator, secret: {demo: operator-secret}, grant_types: [client_credentials], scopes: [admin]}
  - {id: gateway, name: Gateway, secret: {demo: gateway-secret}, introspects: [catalogue]}
users:
  - {login: alice, password: {demo: alice-secret}, claims: {name: Alice}}
`

// call makes one request and gives the status, the body as JSON (nil if it is none), and the header.
func call(t *testing.T, method, address, authorization, body string) (int, map[string]any, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	if method == http.MethodPost && !strings.HasPrefix(strings.TrimSpace(body), "{") {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	_ = json.Unmarshal(text, &members)
	return response.StatusCode, members, response.Header
}

func tokenFor(t *testing.T, issuer *authservertest.Issuer, client string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {client + "-secret"}}
	status, answer, _ := call(t, "POST", issuer.URL+"/oauth/token", "", form.Encode())
	reference, _ := answer["access_token"].(string)
	if status != http.StatusOK || !strings.HasPrefix(reference, "pgat_") {
		t.Fatalf("token for %s: %d %v", client, status, answer)
	}
	return reference
}

func introspect(t *testing.T, issuer *authservertest.Issuer, reference string) map[string]any {
	t.Helper()
	form := url.Values{"token": {reference}, "client_id": {"gateway"}, "client_secret": {"gateway-secret"}}
	status, answer, _ := call(t, "POST", issuer.URL+"/oauth/introspect", "", form.Encode())
	if status != http.StatusOK {
		t.Fatalf("introspection: %d %v", status, answer)
	}
	return answer
}

func active(t *testing.T, issuer *authservertest.Issuer, reference string) bool {
	t.Helper()
	return introspect(t, issuer, reference)["active"] == true
}

// listed looks for a token in the list of what is alive, and gives its grant.
func listed(t *testing.T, issuer *authservertest.Issuer, operator, jti string) (grant string, ok bool) {
	t.Helper()
	status, list, _ := call(t, "GET", issuer.Admin+"/admin/v1/tokens?client=batch", operator, "")
	tokens, isList := list["tokens"].([]any)
	if status != http.StatusOK || !isList {
		t.Fatalf("list of tokens: %d %v", status, list)
	}
	for _, each := range tokens {
		if token := each.(map[string]any); token["jti"] == jti {
			return token["grant"].(string), true
		}
	}
	return "", false
}

func TestOperatorsRevoke(t *testing.T) {
	issuer := authservertest.New(t, authservertest.Options{Config: machines})
	at := issuer.Admin + "/admin/v1/revocations"
	for _, test := range []struct {
		name string
		body func(reference, jti, grant string) string
		kind string
	}{
		{"token", func(reference, _, _ string) string { return `{"token":"` + reference + `"}` }, "token"},
		{"token by its jti", func(_, jti, _ string) string { return `{"token":"` + jti + `"}` }, "token"},
		{"grant", func(_, _, grant string) string { return `{"grant":"` + grant + `"}` }, "grant"},
		{"client", func(_, _, _ string) string { return `{"client":"batch"}` }, "client"},
		{"tenant", func(_, _, _ string) string { return `{"tenant":"default"}` }, "tenant"},
		{"everything", func(_, _, _ string) string { return `{"everything":true}` }, "everything"},
	} {
		t.Run(test.name, func(t *testing.T) {
			operator := "Bearer " + tokenFor(t, issuer, "operator")
			reference := tokenFor(t, issuer, "batch")
			jti := introspect(t, issuer, reference)["jti"].(string)
			grant, ok := listed(t, issuer, operator, jti)
			if !ok {
				t.Fatal("the list of live tokens does not show a fresh one")
			}
			status, done, _ := call(t, "POST", at, operator, test.body(reference, jti, grant))
			if status != http.StatusOK || done["kind"] != test.kind || done["generation"] == nil || done["sequence"] == nil || done["at"] == nil {
				t.Fatalf("revocation: %d %v", status, done)
			}
			operator = "Bearer " + tokenFor(t, issuer, "operator") // the widest reaches end the operator's own
			if introspect(t, issuer, reference)["active"] != false {
				t.Error("the token is active after the revocation was answered")
			}
			if _, ok := listed(t, issuer, operator, jti); ok {
				t.Error("the list still shows the token as alive")
			}
			status, found, _ := call(t, "GET", at+"/"+done["id"].(string), operator, "")
			applied, ok := found["applied"].([]any)
			if status != http.StatusOK || found["sequence"] != done["sequence"] || !ok || len(applied) != 0 {
				t.Errorf("the revocation is told as %d %v", status, found)
			}
		})
	}
}

func TestAdminRefuses(t *testing.T) {
	issuer := authservertest.New(t, authservertest.Options{Config: machines})
	operator := "Bearer " + tokenFor(t, issuer, "operator")
	batch := "Bearer " + tokenFor(t, issuer, "batch")
	for _, test := range []struct {
		name, method, path, authorization, body string
		status                                  int
		code                                    string
	}{
		{"no token", "POST", "/admin/v1/revocations", "", `{"everything":true}`, 401, "invalid_token"},
		{"Basic", "POST", "/admin/v1/revocations", "Basic b3A6b3A=", `{"everything":true}`, 401, "invalid_token"},
		{"garbage", "POST", "/admin/v1/revocations", "Bearer x", `{"everything":true}`, 401, "invalid_token"},
		{"a token without the scope", "POST", "/admin/v1/revocations", batch, `{"everything":true}`, 403, "insufficient_scope"},
		{"nothing named", "POST", "/admin/v1/revocations", operator, `{}`, 400, "invalid_request"},
		{"everything: false", "POST", "/admin/v1/revocations", operator, `{"everything":false}`, 400, "invalid_request"},
		{"two things named", "POST", "/admin/v1/revocations", operator, `{"client":"batch","everything":true}`, 400, "invalid_request"},
		{"unknown member", "POST", "/admin/v1/revocations", operator, `{"clientt":"batch"}`, 400, "invalid_request"},
		{"doubled member", "POST", "/admin/v1/revocations", operator, `{"client":"gateway","Client":"batch"}`, 400, "invalid_request"},
		{"an empty member", "POST", "/admin/v1/revocations", operator, `{"user":"","client":"batch"}`, 400, "invalid_request"},
		{"a null member", "POST", "/admin/v1/revocations", operator, `{"user":null,"client":"batch"}`, 400, "invalid_request"},
		{"two objects", "POST", "/admin/v1/revocations", operator, `{"client":"batch"}{}`, 400, "invalid_request"},
		{"no JSON", "POST", "/admin/v1/revocations", operator, `{`, 400, "invalid_request"},
		{"too large", "POST", "/admin/v1/revocations", operator, `{"client":"` + strings.Repeat("x", 20_000) + `"}`, 400, "invalid_request"},
		{"unknown client", "POST", "/admin/v1/revocations", operator, `{"client":"nobody"}`, 404, "not_found"},
		{"unknown user", "POST", "/admin/v1/revocations", operator, `{"user":"nobody"}`, 404, "not_found"},
		{"unknown grant", "POST", "/admin/v1/revocations", operator, `{"grant":"g"}`, 404, "not_found"},
		{"unknown session", "POST", "/admin/v1/revocations", operator, `{"session":"s"}`, 404, "not_found"},
		{"unknown tenant", "POST", "/admin/v1/revocations", operator, `{"tenant":"other"}`, 404, "not_found"},
		{"unknown token", "POST", "/admin/v1/revocations", operator, `{"token":"pgat_DzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd"}`, 404, "not_found"},
		{"unknown revocation", "GET", "/admin/v1/revocations/x", operator, "", 404, "not_found"},
		{"unknown filter", "GET", "/admin/v1/tokens?clent=batch", operator, "", 400, "invalid_request"},
		{"bad limit", "GET", "/admin/v1/tokens?limit=0", operator, "", 400, "invalid_request"},
		{"list without a token", "GET", "/admin/v1/tokens", "", "", 401, "invalid_token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, answer, header := call(t, test.method, issuer.Admin+test.path, test.authorization, test.body)
			if status != test.status || answer["error"] != test.code {
				t.Errorf("%d %v, want %d %s", status, answer, test.status, test.code)
			}
			if header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
			if status == http.StatusUnauthorized && !strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("challenge %q", header.Get("WWW-Authenticate"))
			}
		})
	}
	if !active(t, issuer, strings.TrimPrefix(batch, "Bearer ")) {
		t.Error("a refused revocation ended a token")
	}
}

func TestTheSidesAreApart(t *testing.T) {
	issuer := authservertest.New(t, authservertest.Options{Config: machines})
	operator := "Bearer " + tokenFor(t, issuer, "operator")
	if status, _, _ := call(t, "GET", issuer.URL+"/admin/v1/tokens", operator, ""); status != http.StatusNotFound {
		t.Errorf("the admin API on the public side: %d", status)
	}
	if status, _, _ := call(t, "POST", issuer.Admin+"/oauth/token", "", "grant_type=client_credentials"); status != http.StatusNotFound {
		t.Errorf("the token endpoint on the admin side: %d", status)
	}
	for _, later := range []string{"/console/", "/metrics"} {
		if status, _, _ := call(t, "GET", issuer.Admin+later, operator, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404 until it is there", later, status)
		}
	}
}

func TestNoRedirectToACleanPath(t *testing.T) {
	issuer := authservertest.New(t, authservertest.Options{Config: machines})
	for path, want := range map[string]int{
		"/oauth//login": http.StatusNotFound, "/oauth/./login": http.StatusNotFound, "//oauth/login": http.StatusNotFound,
		"/oauth/x/../login": http.StatusNotFound, "/": http.StatusNotFound, "/oauth/login/": http.StatusNotFound,
	} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", issuer.URL+path, strings.NewReader("password=x"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultTransport.RoundTrip(request) // which follows nothing
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestUnknownHostIsRefused(t *testing.T) {
	issuer := authservertest.New(t, authservertest.Options{Config: machines})
	for _, side := range []string{issuer.URL, issuer.Admin} {
		for host, want := range map[string]int{
			"": http.StatusOK,
			strings.Replace(strings.TrimPrefix(side, "http://"), "127.0.0.1", "localhost", 1): http.StatusOK,
			"attacker.example":    http.StatusMisdirectedRequest,
			"attacker.example:80": http.StatusMisdirectedRequest,
			"localhost:1":         http.StatusMisdirectedRequest,
		} {
			request, err := http.NewRequestWithContext(t.Context(), "GET", side+"/healthz", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("Host %q at %s: %d, want %d", host, side, response.StatusCode, want)
			}
		}
	}
}

func TestTokensOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	first := authservertest.New(t, authservertest.Options{Config: machines, Dir: dir})
	kept, revoked := tokenFor(t, first, "batch"), tokenFor(t, first, "batch")
	operator := "Bearer " + tokenFor(t, first, "operator")
	if status, answer, _ := call(t, "POST", first.Admin+"/admin/v1/revocations", operator, `{"token":"`+revoked+`"}`); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	first.Stop(t)
	second := authservertest.New(t, authservertest.Options{Config: machines, Dir: dir})
	if !active(t, second, kept) {
		t.Error("an answered token is not honoured after a restart")
	}
	if active(t, second, revoked) {
		t.Error("an answered revocation does not hold after a restart")
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	var log bytes.Buffer
	issuer := authservertest.New(t, authservertest.Options{
		Config: machines, Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	reference := tokenFor(t, issuer, "batch")
	operator := tokenFor(t, issuer, "operator")
	call(t, "POST", issuer.Admin+"/admin/v1/revocations", "Bearer "+operator, `{"token":"`+reference+`"}`)
	call(t, "POST", issuer.URL+"/oauth/token", "", "grant_type=client_credentials&client_id=batch&client_secret=canary-secret")
	issuer.Stop(t)
	for _, secret := range []string{reference, operator, "batch-secret", "operator-secret", "gateway-secret", "canary-secret", "alice-secret"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has a secret: %s", secret)
		}
	}
	if !strings.Contains(log.String(), `"revoked"`) || !strings.Contains(log.String(), `"request_id"`) {
		t.Errorf("the log does not tell of the revocation, with its request: %s", log.String())
	}
}

func TestConfigFaultsAreOneError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "issuer.yaml")
	if err := os.WriteFile(file, []byte("issuer: nowhere\nlisten: x\nsurprise: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := authserver.New(authserver.Options{ConfigFile: file})
	var refused *authserver.ConfigError
	if !errors.As(err, &refused) {
		t.Fatalf("error is %v", err)
	}
	for _, want := range []string{"issuer.yaml:1: ", "issuer.yaml:2: ", "issuer.yaml:3: ", "surprise", "admin"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %q:\n%v", want, err)
		}
	}
	if _, err := authserver.New(authserver.Options{ConfigFile: file, ConfigYAML: []byte("x")}); err == nil {
		t.Error("two configs at once were taken")
	}
}

func TestRunFailsWhenAPortIsTaken(t *testing.T) {
	taken := authservertest.New(t, authservertest.Options{Config: machines})
	dir := t.TempDir()
	t.Setenv("DIR", dir)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), 0o600); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(taken.URL, "http://")
	server, err := authserver.New(authserver.Options{Logger: slog.New(slog.DiscardHandler), ConfigYAML: []byte(
		"demo: true\nissuer: http://" + address + "\nlisten: " + address + "\nadmin: {listen: \"127.0.0.1:0\"}\n" +
			"storage: {sqlite: \"${DIR}/db/x.db\"}\ndata_key: {file: \"${DIR}/key\"}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "listen: ") {
		t.Errorf("error is %v", err)
	}
}
