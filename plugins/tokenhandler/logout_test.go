package tokenhandler

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestLogout(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	late := b.another()
	refresh := ""
	for r := range w.issuer.refresh {
		refresh = r
	}
	a := b.post("/logout", "").is(http.StatusOK).clears().readable()
	address, err := url.Parse(a.json()["url"].(string))
	if err != nil || len(a.json()) != 1 {
		t.Fatalf("logout answered %s", a.body)
	}
	if q := address.Query(); address.Path != "/oauth/logout" || len(q) != 2 || q.Get("client_id") != testClient || q.Get("post_logout_redirect_uri") != appPage {
		t.Errorf("the browser is sent to %s", address)
	}
	if revoked := w.issuer.asked("/oauth/revoke"); len(revoked) != 1 || revoked[0].Get("token") != refresh || revoked[0].Get("token_type_hint") != "refresh_token" {
		t.Errorf("revoked at the issuer: %v", revoked)
	}
	if len(b.cookies) > 0 {
		t.Errorf("cookies are left: %v", b.cookies)
	}
	// Whoever kept the cookies has nothing, here and on a replica that was not there.
	kept := late.another()
	if _, refusal, _ := late.api(http.MethodGet); refusal == nil || refusal.Code != "session_expired" {
		t.Errorf("the session goes on: %v", refusal)
	}
	w.handler = w.replica()
	kept.post("/refresh", "").fails(http.StatusUnauthorized, "session_expired").clears()

	b.post("/logout", "").is(http.StatusOK).clears() // twice
	b.post("/logout", `{"postLogoutRedirectUri":"`+appOrigin+`/bye"}`).is(http.StatusOK)
}

func TestLogoutWithDamagedCookies(t *testing.T) {
	for _, name := range []string{"__Host-shop-at", "__Host-shop-rt", "__Host-shop-id", "__Host-shop-csrf"} {
		b := newWalk(t).loggedIn()
		b.cookies[name] = "1damaged"
		b.post("/logout", "").is(http.StatusOK).clears()
		if revoked := len(b.issuer.asked("/oauth/revoke")); (revoked == 1) != (name != "__Host-shop-rt") {
			t.Errorf("%s damaged: %d references were revoked", name, revoked)
		}
	}
}

func TestLogoutReturnAddresses(t *testing.T) {
	b := newWalk(t).loggedIn()
	for _, address := range []string{
		"https://evil.example/", "//evil.example", appOrigin + "/other", appPage + "/", appPage + "?x=1", appPage + "#x", "javascript:alert(1)", "/app",
	} {
		b.post("/logout", `{"postLogoutRedirectUri":`+quoted(address)+`}`).fails(http.StatusBadRequest, "invalid_request")
	}
	if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
		t.Errorf("a refused logout ended the session: %v", refusal)
	}
}

// The user is logged out here even when the issuer cannot be told.
func TestLogoutWhileIssuerIsDown(t *testing.T) {
	b := newWalk(t).loggedIn()
	late := b.another()
	b.issuer.behave(func() { b.issuer.revoked = answerWith(http.StatusServiceUnavailable, "") })
	b.post("/logout", "").is(http.StatusOK).clears()
	late.post("/refresh", "").fails(http.StatusUnauthorized, "session_expired")
	if !strings.Contains(b.log.String(), "could not be revoked") {
		t.Error("nobody is told that the grant lives on")
	}
}

// A refresh that is under way during a logout brings no session back.
func TestRefreshDuringLogout(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	tab := b.another()
	w.issuer.behave(func() {
		w.issuer.answer = func(rw http.ResponseWriter) {
			stamp := stampOf(t, b)
			if err := w.handler.ended.endSession(&stamp, w.clock.Now()); err != nil {
				t.Error(err)
			}
			writeJSON(rw, 200, map[string]any{"access_token": "late", "token_type": "Bearer", "expires_in": 60})
		}
	})
	tab.post("/refresh", "").fails(http.StatusUnauthorized, "session_expired").clears()
}

func stampOf(t *testing.T, b *browser) stamp {
	t.Helper()
	var j jar
	b.handler.names.read(b.request(http.MethodGet, "/", "").Header, &j)
	s, err := b.handler.openSession(&j, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s.stamp
}

func (w *walk) logoutClaims(edits ...func(jwt.MapClaims)) jwt.MapClaims {
	w.issuer.mu.Lock()
	w.issuer.made++
	id := fmt.Sprint("jti-", w.issuer.made)
	w.issuer.mu.Unlock()
	claims := jwt.MapClaims{
		"iss": w.issuer.URL, "aud": testClient, "iat": w.clock.Now().Unix(), "exp": w.clock.Now().Add(time.Minute).Unix(), "jti": id,
		"sub": "u_alice", "sid": "issuer-session-1", "events": map[string]any{logoutEvent: map[string]any{}},
	}
	for _, edit := range edits {
		edit(claims)
	}
	return claims
}

// fromIssuer posts a form as the issuer does: no origin, no cookies.
func (w *walk) fromIssuer(form url.Values) *answer {
	b := w.browser()
	r := b.request(http.MethodPost, agentPath+"/backchannel-logout", form.Encode(), header("Origin", ""), header("Sec-Fetch-Site", ""),
		header("Content-Type", "application/x-www-form-urlencoded"))
	return b.agent(r)
}

func (w *walk) logoutByIssuer(typ string, edits ...func(jwt.MapClaims)) *answer {
	return w.fromIssuer(url.Values{"logout_token": {w.issuer.sign(typ, w.logoutClaims(edits...))}})
}

func without(names ...string) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) {
		for _, name := range names {
			delete(c, name)
		}
	}
}

func with(name string, value any) func(jwt.MapClaims) {
	return func(c jwt.MapClaims) { c[name] = value }
}

func TestBackChannelLogout(t *testing.T) {
	for name, c := range map[string]struct {
		edits []func(jwt.MapClaims)
		ends  bool
	}{
		"session and user":           {nil, true},
		"the session":                {[]func(jwt.MapClaims){without("sub")}, true},
		"all sessions of the user":   {[]func(jwt.MapClaims){without("sid")}, true},
		"another's spelling":         {[]func(jwt.MapClaims){with("ſub", "u_bob"), with("ſid", "other")}, true},
		"another session":            {[]func(jwt.MapClaims){with("sid", "other")}, false},
		"another user's session":     {[]func(jwt.MapClaims){with("sub", "u_bob")}, false},
		"another session, no user":   {[]func(jwt.MapClaims){with("sid", "other"), without("sub")}, false},
		"another user, no session":   {[]func(jwt.MapClaims){with("sub", "u_bob"), without("sid")}, false},
		"without exp (older drafts)": {[]func(jwt.MapClaims){without("exp")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalk(t)
			b := w.loggedIn()
			if a := w.logoutByIssuer("logout+jwt", c.edits...).is(http.StatusOK); len(a.body) > 0 || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("answered %q, %v", a.body, a.header)
			}
			_, refusal, h := b.api(http.MethodGet)
			if ended := refusal != nil && refusal.Code == "session_expired" && allEnded(h["Set-Cookie"]); ended != c.ends {
				t.Errorf("the session: %v; want it ended: %v", refusal, c.ends)
			}
			w.clock.advance(time.Second)
			if _, refusal, _ := w.loggedIn().api(http.MethodGet); refusal != nil {
				t.Errorf("a login after the logout: %v", refusal)
			}
		})
	}
}

// What an issuer has copied from a user's profile under another spelling does not put the session out of a logout's reach. The long
// s is an s to encoding/json, and comes after it, where it would count.
func TestSessionIsOfItsExactClaims(t *testing.T) {
	w := newWalk(t)
	w.issuer.claims = func(c jwt.MapClaims) { c["ſub"], c["ſid"] = "u_bob", "other" }
	b := w.loggedIn()
	w.logoutByIssuer("logout+jwt").is(http.StatusOK)
	if _, refusal, _ := b.api(http.MethodGet); refusal == nil || refusal.Code != "session_expired" {
		t.Errorf("the session: %v; want it ended", refusal)
	}
}

func TestBackChannelLogoutRefuses(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	for name, edit := range map[string]func(jwt.MapClaims){
		"iss":          with("iss", "https://evil.example"),
		"no iss":       without("iss"),
		"aud":          with("aud", "other"),
		"no aud":       without("aud"),
		"expired":      with("exp", w.clock.Now().Add(-time.Minute).Unix()),
		"old":          with("iat", w.clock.Now().Add(-3*time.Minute).Unix()),
		"no iat":       without("iat"),
		"future":       with("iat", w.clock.Now().Add(time.Minute).Unix()),
		"no jti":       without("jti"),
		"no sub, sid":  without("sub", "sid"),
		"nonce":        with("nonce", "x"),
		"null nonce":   with("nonce", nil),
		"no events":    without("events"),
		"other events": with("events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}),
		"Events":       func(c jwt.MapClaims) { c["Events"] = c["events"]; delete(c, "events") },
		"null event":   with("events", map[string]any{logoutEvent: nil}),
		"text event":   with("events", map[string]any{logoutEvent: "x"}),
		"list":         with("events", []string{logoutEvent}),
	} {
		if a := w.logoutByIssuer("logout+jwt", edit); a.status != http.StatusBadRequest || a.json()["code"] != "invalid_request" {
			t.Errorf("%s: answered %d %s", name, a.status, a.body)
		}
	}
	w.logoutByIssuer("at+jwt").fails(http.StatusBadRequest, "invalid_request")
	valid := w.issuer.sign("logout+jwt", w.logoutClaims())
	for name, form := range map[string]url.Values{
		"none": {}, "two": {"logout_token": {valid, valid}}, "no JWT": {"logout_token": {"x"}},
		"unsigned":    {"logout_token": {valid[:strings.LastIndex(valid, ".")+1]}},
		"an ID token": {"logout_token": {w.issuer.idToken("n", "x")}},
	} {
		if a := w.fromIssuer(form); a.status != http.StatusBadRequest {
			t.Errorf("%s: answered %d", name, a.status)
		}
	}
	if _, refusal, _ := b.api(http.MethodGet); refusal != nil {
		t.Errorf("a refused logout ended the session: %v", refusal)
	}
}

func TestBackChannelLogoutOnce(t *testing.T) {
	w := newWalk(t)
	token := url.Values{"logout_token": {w.issuer.sign("logout+jwt", w.logoutClaims(without("exp")))}}
	w.fromIssuer(token).is(http.StatusOK)
	w.clock.advance(time.Second)
	b := w.loggedIn()
	w.fromIssuer(token).fails(http.StatusBadRequest, "invalid_request")
	if _, refusal, _ := b.api(http.MethodGet); refusal != nil {
		t.Errorf("a replayed logout ended a later session: %v", refusal)
	}
}

// What is remembered is bounded: beyond that the issuer is told to come again, and what has ended makes room.
func TestEndedIsBounded(t *testing.T) {
	w := newWalk(t)
	w.handler.ended.limit = 2
	w.logoutByIssuer("logout+jwt").is(http.StatusOK)
	w.logoutByIssuer("logout+jwt", with("sid", "2")).is(http.StatusOK)
	if a := w.logoutByIssuer("logout+jwt", with("sid", "3")).fails(http.StatusServiceUnavailable, "server_error"); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	b := w.loggedIn()
	b.post("/logout", "").is(http.StatusOK).clears()
	w.clock.advance(8 * time.Hour)
	w.logoutByIssuer("logout+jwt", with("sid", "3")).is(http.StatusOK)
	if n := len(w.handler.ended.issued) + len(w.handler.ended.used) + len(w.handler.ended.sessions); n != 2 {
		t.Errorf("%d entries are remembered; want 2", n)
	}
}
