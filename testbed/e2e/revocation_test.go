package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// patience bounds how long a revocation may take to reach the gateway. The feed takes milliseconds; the rest is for a slow
// machine.
const patience = 20 * time.Second

// live is a token as the admin API lists it.
type live struct {
	JTI     string `json:"jti"`
	Grant   string `json:"grant"`
	Session string `json:"session"`
	Client  string `json:"client"`
	User    string `json:"user"`
	Login   string `json:"login"`
}

func (w *walk) active(t *testing.T, token string) bool {
	t.Helper()
	got := w.form(t, "/oauth/introspect", "gateway", url.Values{"token": {token}, "audience": {"eventcatalog"}})
	var answer struct {
		Active bool `json:"active"`
	}
	got.read(t, http.StatusOK, &answer)
	return answer.Active
}

// ofAlice lists alice's living tokens at mobile, by their id.
func (w *walk) ofAlice(t *testing.T, operator string) map[string]live {
	t.Helper()
	var list struct {
		Tokens []live `json:"tokens"`
	}
	w.operate(t, operator, "/admin/v1/tokens?user=alice&client=mobile", "").read(t, http.StatusOK, &list)
	found := map[string]live{}
	for _, l := range list.Tokens {
		found[l.JTI] = l
	}
	return found
}

// logInAlice gives alice a token at mobile, and finds it in the operator's list.
func (w *walk) logInAlice(t *testing.T, operator string) (*oauth2.Token, live) {
	t.Helper()
	before := w.ofAlice(t, operator)
	token := w.logIn(t, "mobile", "alice", "offline_access", "eventcatalog.read")
	after := w.ofAlice(t, operator)
	maps.DeleteFunc(after, func(jti string, _ live) bool { _, old := before[jti]; return old })
	if len(after) != 1 {
		t.Fatalf("one login made %d living tokens", len(after))
	}
	for _, l := range after {
		if l.Login != "alice" || l.Client != "mobile" {
			t.Errorf("the list shows alice's token as %+v", l)
		}
		return token, l
	}
	return nil, live{}
}

func TestRevocationByEveryReach(t *testing.T) {
	w := inProcess(t)
	for _, c := range []struct {
		name string
		body func(token *oauth2.Token, l live) map[string]any
		kind string
		// who goes on undisturbed: bob at the same client, and the job
		sparesBob, sparesBatch bool
		// an access token's own revocation leaves the grant, and with it the refresh reference
		sparesRefresh bool
	}{
		{"token", func(o *oauth2.Token, _ live) map[string]any { return map[string]any{"token": o.AccessToken} }, "token", true, true, true},
		{"token by id", func(_ *oauth2.Token, l live) map[string]any { return map[string]any{"token": l.JTI} }, "token", true, true, true},
		{"refresh token", func(o *oauth2.Token, _ live) map[string]any { return map[string]any{"token": o.RefreshToken} }, "grant", true, true, false},
		{"grant", func(_ *oauth2.Token, l live) map[string]any { return map[string]any{"grant": l.Grant} }, "grant", true, true, false},
		{"session", func(_ *oauth2.Token, l live) map[string]any { return map[string]any{"session": l.Session} }, "session", true, true, false},
		{"user by login", func(*oauth2.Token, live) map[string]any { return map[string]any{"user": "alice"} }, "user", true, true, false},
		{"user by sub", func(_ *oauth2.Token, l live) map[string]any { return map[string]any{"user": l.User} }, "user", true, true, false},
		{"user at client", func(*oauth2.Token, live) map[string]any { return map[string]any{"user": "alice", "client": "mobile"} }, "user+client", true, true, false},
		{"client", func(*oauth2.Token, live) map[string]any { return map[string]any{"client": "mobile"} }, "client", false, true, false},
		{"tenant", func(*oauth2.Token, live) map[string]any { return map[string]any{"tenant": "default"} }, "tenant", false, false, false},
		{"everything", func(*oauth2.Token, live) map[string]any { return map[string]any{"everything": true} }, "everything", false, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			operator := w.machine(t, "operator", "admin")
			alice, found := w.logInAlice(t, operator)
			bob := w.logIn(t, "mobile", "bob", "offline_access", "eventcatalog.read").AccessToken
			batch := w.machine(t, "batch", "eventcatalog.read")
			for name, token := range map[string]string{"alice": alice.AccessToken, "bob": bob, "batch": batch} {
				if got := w.api(t, events, token, ""); got.status != http.StatusOK {
					t.Fatalf("%s before the revocation: status %d: %s", name, got.status, got.body)
				}
			}
			body, err := json.Marshal(c.body(alice, found))
			if err != nil {
				t.Fatal(err)
			}
			var done struct {
				ID         string `json:"id"`
				Kind       string `json:"kind"`
				Generation int64  `json:"generation"`
				Sequence   int64  `json:"sequence"`
				At         string `json:"at"`
			}
			w.operate(t, operator, "/admin/v1/revocations", string(body)).read(t, http.StatusOK, &done)
			if done.ID == "" || done.Kind != c.kind || done.Generation == 0 || done.At == "" {
				t.Errorf("the answer to the revocation: %+v, want the kind %s", done, c.kind)
			}

			// At the issuer it holds as soon as it was answered; at the gateway once it has heard of it.
			if w.active(t, alice.AccessToken) {
				t.Error("the issuer still calls the token active")
			}
			w.refusedInTime(t, alice.AccessToken)
			refresh := w.form(t, "/oauth/token", "mobile", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {alice.RefreshToken}})
			if spared := refresh.status == http.StatusOK; spared != c.sparesRefresh {
				t.Errorf("the refresh reference: status %d, still good: %v, want %v", refresh.status, spared, c.sparesRefresh)
			}
			// The control: what was not meant goes on.
			if got := w.active(t, bob); got != c.sparesBob {
				t.Errorf("bob's token is active: %v, want %v", got, c.sparesBob)
			}
			if got := w.active(t, batch); got != c.sparesBatch {
				t.Errorf("the job's token is active: %v, want %v", got, c.sparesBatch)
			}
			if again := w.logIn(t, "mobile", "alice", "eventcatalog.read"); !w.active(t, again.AccessToken) {
				t.Error("a login after the revocation is revoked too")
			}
		})
	}
}

// refusedInTime asks until the gateway refuses, and wants a 401 that names the token.
func (w *walk) refusedInTime(t *testing.T, token string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := w.api(t, events, token, "")
		if got.status != http.StatusOK {
			got.refused(t, http.StatusUnauthorized, "invalid_token")
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway still lets the revoked token pass after %v", patience)
		}
	}
}

func TestOnlyAnOperatorRevokes(t *testing.T) {
	w := inProcess(t)
	for name, token := range map[string]string{
		"nobody":  "",
		"a job":   w.machine(t, "batch", "eventcatalog.read"),
		"a user":  w.logIn(t, "mobile", "olga", "openid", "eventcatalog.read").AccessToken,
		"garbage": "garbage",
	} {
		if got := w.operate(t, token, "/admin/v1/revocations", `{"everything":true}`); got.status != http.StatusUnauthorized && got.status != http.StatusForbidden {
			t.Errorf("%s: status %d: %s", name, got.status, got.body)
		}
		if got := w.operate(t, token, "/admin/v1/tokens", ""); got.status != http.StatusUnauthorized && got.status != http.StatusForbidden {
			t.Errorf("%s lists tokens: status %d", name, got.status)
		}
	}
}
