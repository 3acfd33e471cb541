package tokenhandler

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func answerWith(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { fail(w, status, code) }
}

func TestRefresh(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	before := b.another()
	a := b.post("/refresh", "").is(http.StatusNoContent).readable()
	if len(a.body) > 0 || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("refresh answered %q, %v", a.body, a.header)
	}
	oldReference, _, _ := before.api(http.MethodGet)
	if reference, refusal, _ := b.api(http.MethodPost); refusal != nil || reference == oldReference {
		t.Errorf("after the refresh an API gets %q, %v", reference, refusal)
	}
	b.post("/refresh", "").is(http.StatusNoContent)
	before.post("/refresh", "").fails(http.StatusUnauthorized, "session_expired").clears().readable()
	if len(before.cookies) > 0 {
		t.Errorf("cookies are left: %v", before.cookies)
	}
}

// What the issuer answers decides whether the session goes on.
func TestRefreshFailures(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		status int
		code   string
		ends   bool
	}{
		"invalid_grant":     {answerWith(400, "invalid_grant"), 401, "session_expired", true},
		"invalid_client":    {answerWith(401, "invalid_client"), 502, "authorization_server_error", false},
		"invalid_request":   {answerWith(400, "invalid_request"), 502, "authorization_server_error", false},
		"500":               {answerWith(500, "server_error"), 502, "authorization_server_error", false},
		"503 invalid_grant": {answerWith(503, "invalid_grant"), 502, "authorization_server_error", false},
		"429":               {answerWith(429, "slow_down"), 502, "authorization_server_error", false},
		"redirect":          {func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(307) }, 502, "authorization_server_error", false},
		"no JSON":           {func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) }, 502, "authorization_server_error", false},
		"empty object":      {func(w http.ResponseWriter) { writeJSON(w, 200, map[string]string{}) }, 502, "authorization_server_error", false},
		"endless":           {func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 2*maxIssuerBody)) }, 502, "authorization_server_error", false},
		"204":               {func(w http.ResponseWriter) { w.WriteHeader(204) }, 502, "authorization_server_error", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newWalk(t).loggedIn()
			b.issuer.behave(func() { b.issuer.answer = c.answer })
			a := b.post("/refresh", "").fails(c.status, c.code).readable()
			if c.ends {
				a.clears()
				return
			}
			if len(a.header["Set-Cookie"]) > 0 {
				t.Errorf("cookies changed: %v", a.header["Set-Cookie"])
			}
			b.issuer.behave(func() { b.issuer.answer = nil })
			b.post("/refresh", "").is(http.StatusNoContent)
		})
	}
}

// A redirect would take the app's secret, and a reference, to wherever it points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	b := newWalk(t).loggedIn()
	b.issuer.behave(func() {
		b.issuer.answer = func(w http.ResponseWriter) {
			w.Header().Set("Location", "/oauth/revoke")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	})
	b.post("/refresh", "").fails(http.StatusBadGateway, "authorization_server_error")
	if n := len(b.issuer.asked("/oauth/revoke")); n > 0 {
		t.Error("the redirect was followed")
	}
}

func TestRefreshWhileIssuerIsDown(t *testing.T) {
	b := newWalk(t).loggedIn()
	b.issuer.Close()
	b.post("/refresh", "").fails(http.StatusBadGateway, "authorization_server_error")
	if len(b.cookies) != 4 {
		t.Errorf("cookies are %v", b.cookies)
	}
	if _, refusal, _ := b.api(http.MethodGet); refusal != nil {
		t.Errorf("a session whose token lives was refused: %v", refusal)
	}
	b.clock.advance(4*time.Minute + 40*time.Second)
	if _, refusal, _ := b.api(http.MethodGet); refusal != nil {
		t.Errorf("the token lives for 20 s more, and was refused: %v", refusal)
	}
	b.clock.advance(20 * time.Second)
	_, refusal, h := b.api(http.MethodGet)
	if refusal == nil || refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter == 0 {
		t.Errorf("the token has ended and the issuer is down: %v", refusal)
	}
	if h["Set-Cookie"] != nil {
		t.Error("an issuer that is down ended the session")
	}
}

func TestInlineRefresh(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	first, _, _ := b.api(http.MethodGet)
	b.clock.advance(4*time.Minute + 29*time.Second)
	if again, _, h := b.api(http.MethodGet); again != first || h["Set-Cookie"] != nil {
		t.Error("renewed before the margin")
	}
	b.clock.advance(time.Second)
	second, refusal, h := b.api(http.MethodGet)
	if refusal != nil || second == first || len(h["Set-Cookie"]) != 2 {
		t.Fatalf("in the margin: %v, %v", refusal, h)
	}
	if again, _, h := b.api(http.MethodPost); again != second || h["Set-Cookie"] != nil {
		t.Error("renewed twice")
	}
	// Long after the token's end the session still goes on; a foreign page does not renew it.
	b.clock.advance(time.Hour)
	if _, refusal, _ := b.api(http.MethodGet, header("Origin", "https://evil.example")); refusal == nil {
		t.Error("a foreign page passed")
	}
	if _, refusal, _ := b.api(http.MethodPost, header("x-shop-csrf", "x")); refusal == nil {
		t.Error("a wrong CSRF header passed")
	}
	if n := len(w.issuer.asked("/oauth/token")); n != 2 {
		t.Errorf("the token endpoint was asked %d times; want 2", n)
	}
	if _, refusal, _ := b.api(http.MethodGet); refusal != nil {
		t.Errorf("after the token's end: %v", refusal)
	}
	b.clock.advance(time.Hour)
	b.get("/userInfo").is(http.StatusOK)
	// When the grant has ended, so has the session, and the app is told.
	b.clock.advance(time.Hour)
	b.issuer.behave(func() { clear(b.issuer.refresh) })
	_, refusal, h = b.api(http.MethodGet)
	if refusal == nil || refusal.Status != 401 || refusal.Code != "session_expired" || !allEnded(h["Set-Cookie"]) {
		t.Errorf("with a dead grant: %v, %v", refusal, h)
	}
}

// A short-lived token is not renewed on every request.
func TestInlineRefreshOfShortTokens(t *testing.T) {
	w := newWalk(t)
	w.issuer.expiresIn = 20
	b := w.loggedIn()
	w.clock.advance(14 * time.Second)
	b.api(http.MethodGet)
	if n := len(w.issuer.asked("/oauth/token")); n != 1 {
		t.Errorf("renewed in the first three quarters of its life: %d", n)
	}
	w.clock.advance(time.Second)
	b.api(http.MethodGet)
	if n := len(w.issuer.asked("/oauth/token")); n != 2 {
		t.Errorf("not renewed in the last quarter: %d", n)
	}
}

// direct asks the issuer without a network, so that a test can tell when everybody waits.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	d.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

// Requests that need a refresh at once share it, and all get on. One whose browser leaves does not end it for the rest.
func TestRefreshesAreCoalesced(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	w.clock.advance(time.Hour)
	synctest.Test(t, func(t *testing.T) {
		var err error
		w.handler, err = New(w.handler.cfg, Options{
			Keys: issuerKeys{w.issuer}, Logger: w.handler.logger, Now: w.clock.Now, Transport: direct{w.issuer.Config.Handler},
		})
		if err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		w.issuer.behave(func() { w.issuer.hold = hold })
		const tabs = 20
		var done sync.WaitGroup
		references := make([]string, tabs)
		for i := range tabs {
			tab := b.another()
			done.Go(func() {
				if i%2 == 0 {
					references[i], _, _ = tab.api(http.MethodPost)
					return
				}
				tab.post("/refresh", "").is(http.StatusNoContent)
				references[i], _, _ = tab.api(http.MethodGet)
			})
		}
		leaving, leave := context.WithCancel(t.Context())
		done.Go(func() {
			r := b.request(http.MethodGet, "/api/orders", "")
			if _, refusal := w.handler.Open(r.WithContext(leaving), w.clock.Now()); refusal == nil {
				t.Error("a request that was given up passed")
			}
		})
		synctest.Wait() // everybody waits for the issuer
		leave()
		synctest.Wait()
		close(hold)
		done.Wait()
		for i, reference := range references {
			if reference == "" || reference != references[0] {
				t.Errorf("tab %d got %q", i, reference)
			}
		}
		w.handler.Close()
	})
	if n := len(w.issuer.asked("/oauth/token")); n != 2 {
		t.Errorf("the token endpoint was asked %d times; want 2: the login, and one refresh", n)
	}
}

// However often it is refreshed, a session ends when its login said.
// A refresh that panics ends neither the process nor the session, and says in the log what it was.
func TestRefreshThatPanics(t *testing.T) {
	const canary = "pgrt_canary"
	f := newRefreshes(time.Minute)
	defer f.close()
	for range 2 { // it is forgotten, so that the next one may do better
		_, err := f.do(t.Context(), canary, func(context.Context) (tokens, error) { panic("a fault of ours") })
		if !errors.Is(err, errIssuer) || !strings.Contains(err.Error(), "a fault of ours") || strings.Contains(err.Error(), canary) {
			t.Errorf("a panic became %v", err)
		}
	}
	if got, err := f.do(t.Context(), canary, func(context.Context) (tokens, error) { return tokens{AccessToken: "new"}, nil }); err != nil || got.AccessToken != "new" {
		t.Errorf("after a panic: %v", err)
	}
}

func TestAbsoluteEnd(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	for range 7 {
		w.clock.advance(time.Hour)
		b.post("/refresh", "").is(http.StatusNoContent)
	}
	w.clock.advance(time.Hour - time.Second)
	b.post("/refresh", "").is(http.StatusNoContent)
	w.clock.advance(time.Second)
	asked := len(w.issuer.asked("/oauth/token"))
	late := b.another()
	b.post("/refresh", "").fails(http.StatusUnauthorized, "session_expired").clears()
	_, refusal, h := late.api(http.MethodGet)
	if refusal == nil || refusal.Code != "session_expired" || !allEnded(h["Set-Cookie"]) {
		t.Errorf("at its end an API answers %v, %v", refusal, h)
	}
	if len(w.issuer.asked("/oauth/token")) != asked {
		t.Error("a session that has ended was refreshed")
	}
}

// An issuer that gives no refresh reference gives a session that lasts as long as its token.
func TestWithoutRefreshReference(t *testing.T) {
	w := newWalk(t)
	w.issuer.respond = func(m map[string]any) { delete(m, "refresh_token") }
	b := w.loggedIn()
	w.clock.advance(4*time.Minute + 50*time.Second)
	if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
		t.Errorf("in the margin: %v", refusal)
	}
	b.another().post("/refresh", "").fails(http.StatusUnauthorized, "session_expired")
	w.clock.advance(10 * time.Second)
	if _, refusal, _ := b.api(http.MethodGet); refusal == nil || refusal.Code != "session_expired" {
		t.Errorf("at its end: %v", refusal)
	}
}

// An issuer that does not rotate lets the old refresh reference stand.
func TestRefreshWithoutRotation(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	w.issuer.behave(func() {
		w.issuer.answer = func(rw http.ResponseWriter) {
			writeJSON(rw, 200, map[string]any{"access_token": "at-new", "token_type": "Bearer", "expires_in": 60})
		}
	})
	b.post("/refresh", "").is(http.StatusNoContent)
	b.post("/refresh", "").is(http.StatusNoContent)
	asked := w.issuer.asked("/oauth/token")
	if a, z := asked[1].Get("refresh_token"), asked[2].Get("refresh_token"); a != z || !strings.HasPrefix(a, "canary_rt_") {
		t.Error("the refresh reference changed")
	}
}

func TestUserInfoFailures(t *testing.T) {
	b := newWalk(t).loggedIn()
	for _, c := range []struct {
		answer func(http.ResponseWriter)
		status int
		code   string
	}{
		{answerWith(401, "invalid_token"), 401, "unauthorized_request"},
		{answerWith(403, "insufficient_scope"), 502, "authorization_server_error"},
		{answerWith(500, ""), 502, "authorization_server_error"},
		{func(w http.ResponseWriter) { writeJSON(w, 200, []string{}) }, 502, "authorization_server_error"},
		{func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/jwt")
			_, _ = w.Write([]byte("e.y.J"))
		}, 502, "authorization_server_error"},
	} {
		b.issuer.behave(func() { b.issuer.answer = c.answer })
		b.get("/userInfo").fails(c.status, c.code).readable()
	}
}
