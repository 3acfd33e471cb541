package compose

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/loopback"
)

const (
	events         = "/api/eventcatalog/events"
	whoami         = "/api/eventcatalog/whoami"
	basketPath     = "/api/shoppingbasket/basket"
	whoamiDiscount = "/api/shoppingbasket/whoami/discount"
)

// answer is what came back.
type answer struct {
	status int
	body   []byte
}

func (a answer) read(t *testing.T, into any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatal(err)
	}
}

// api calls through the gateway: GET, or POST when there is a body. Every call has a connection of its own, since the other
// end is restarted now and then.
func (s *stack) api(t *testing.T, path, token, body string) answer {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.gateway+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	return do(t, req)
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written that closing could lose
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, bytes.TrimSpace(body)}
}

// logIn is a person at an app on their own machine: by code, with PKCE.
func (s *stack) logIn(t *testing.T, user string, scopes ...string) (reference string) {
	t.Helper()
	person, err := browser.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	app := loopback.Client{Issuer: s.issuer, ID: "mobile", Scopes: scopes, HTTP: http.DefaultClient}
	token, err := app.Login(t.Context(), func(address string) error {
		_, err := person.LogIn(t.Context(), address, user, s.passwords[user])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(token.AccessToken, "pgat_") {
		t.Fatal("the app holds something else than a reference")
	}
	return token.AccessToken
}

func (s *stack) shopper(t *testing.T, user string) string {
	t.Helper()
	return s.logIn(t, user, "openid", "eventcatalog.read", "shoppingbasket.read", "shoppingbasket.write")
}

// machine is a job's token, by client credentials.
func (s *stack) machine(t *testing.T, client, secret, scope string) answer {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.SetBasicAuth(client, secret)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, req)
}

// seen is what an API says it verified.
type seen struct {
	Claims map[string]any `json:"claims"`
}

// walk is what clients do: call, be narrowed, be exchanged.
func (s *stack) walk(t *testing.T) {
	alice := s.shopper(t, "alice")
	var api seen
	s.api(t, whoami, alice, "").read(t, &api)
	if api.Claims["iss"] != s.issuer || api.Claims["aud"] != "eventcatalog" || api.Claims["scope"] != "eventcatalog.read" || api.Claims["region"] != "eu" {
		t.Errorf("the eventcatalog verified %v", api.Claims)
	}
	if got := s.api(t, events, alice, `{"name":"x"}`); got.status != http.StatusForbidden {
		t.Errorf("without the scope to write: status %d", got.status)
	}
	var basket struct{ Subtotal, Discount, Total int64 }
	s.api(t, basketPath, alice, `{"event":"e1","quantity":2}`).read(t, &basket)
	if basket.Subtotal != 9000 || basket.Discount != 450 || basket.Total != 8550 {
		t.Errorf("two tickets at 45.00, less 5 %%: %+v", basket)
	}
	s.api(t, whoamiDiscount, alice, "").read(t, &api)
	act, _ := api.Claims["act"].(map[string]any)
	if api.Claims["aud"] != "discount" || api.Claims["scope"] != "discount.fullaccess" || act["sub"] != "shoppingbasket" {
		t.Errorf("the discount API verified %v", api.Claims)
	}
	var job struct {
		Access string `json:"access_token"`
	}
	s.machine(t, "batch", s.passwords["batch"], "eventcatalog.read").read(t, &job)
	if got := s.api(t, events, job.Access, ""); got.status != http.StatusOK {
		t.Errorf("the job: status %d: %s", got.status, got.body)
	}
}

// refuses is what the walk must not let pass, the demo's public secrets among it.
func (s *stack) refuses(t *testing.T) {
	for name, status := range map[string]int{
		"no token":       s.api(t, events, "", "").status,
		"an unknown":     s.api(t, events, "pgat_00000000000000000000000000000000000000000001veP1o", "").status,
		"the demo's":     s.machine(t, "batch", "batch-demo-secret", "eventcatalog.read").status,
		"the operator's": s.machine(t, "operator", "operator-demo-secret", "admin").status,
	} {
		if status != http.StatusUnauthorized {
			t.Errorf("%s: status %d, want 401", name, status)
		}
	}
	for _, address := range []string{s.gateway + "/", s.issuer + "/.well-known/oauth-authorization-server"} {
		for host, want := range map[string]int{"": http.StatusOK, "evil.example": http.StatusMisdirectedRequest} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = host
			if got := do(t, req); got.status != want {
				t.Errorf("%s for the host %q: status %d, want %d", address, host, got.status, want)
			}
		}
	}
	person, err := browser.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	app := loopback.Client{Issuer: s.issuer, ID: "mobile", Scopes: []string{"openid"}, HTTP: http.DefaultClient}
	if _, err := app.Login(t.Context(), func(address string) error {
		_, err := person.LogIn(t.Context(), address, "alice", "alice-demo")
		return err
	}); err == nil {
		t.Error("alice signs in with the password that everybody knows")
	}
}

// revocation: once phantomctl says that every gateway has applied it, the very next request is refused.
func (s *stack) revocation(t *testing.T) {
	alice, bob := s.shopper(t, "alice"), s.shopper(t, "bob")
	for range 2 { // the second time from the cache
		for _, token := range []string{alice, bob} {
			if got := s.api(t, events, token, ""); got.status != http.StatusOK {
				t.Fatalf("before the revocation: status %d: %s", got.status, got.body)
			}
		}
	}
	if gateways := s.phantomctl(t, "gateways"); !strings.Contains(gateways, "gateway") {
		t.Errorf("no gateway hears the feed: %s", gateways)
	}
	s.phantomctl(t, "revoke", "--user", "alice", "--wait", "--timeout", "30s")
	if got := s.api(t, events, alice, ""); got.status != http.StatusUnauthorized {
		t.Errorf("after the revocation: status %d", got.status)
	}
	if got := s.api(t, events, bob, ""); got.status != http.StatusOK {
		t.Errorf("bob, whom nobody revoked: status %d: %s", got.status, got.body)
	}
}
