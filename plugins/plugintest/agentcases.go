package plugintest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// agentCases: the OAuth agent logs an app in and out and keeps it in between.
func agentCases() []Case {
	cases := []Case{
		{Name: "agent/login, session and claims", Check: loginAndSession},
		{Name: "agent/login's answers and what they mean", Check: loginAnswers},
		{Name: "agent/refresh", Check: refreshing},
		{Name: "agent/refresh fails", Check: refreshFails},
		{Name: "agent/logout", Check: loggingOut},
		{Name: "agent/logout from the issuer", Check: backChannelLogout},
	}
	for i := range cases {
		cases[i].Config = withTokenHandler
	}
	for name, c := range map[string]struct {
		change func(handler map[string]any)
		says   string
	}{
		"a short cookie key": {func(h map[string]any) { h["cookieKeys"] = []map[string]any{{"id": "1", "key": "c2hvcnQ="}} }, "cookieKeys[0].key"},
		"no cookie key":      {func(h map[string]any) { delete(h, "cookieKeys") }, "cookieKeys"},
		"a wildcard origin":  {func(h map[string]any) { h["origins"] = []string{"*"} }, "origins[0]"},
		"a foreign page":     {func(h map[string]any) { h["redirectUri"] = foreignOrigin }, "redirectUri"},
		"a misspelt setting": {func(h map[string]any) { h["cookie_prefix"] = "x" }, "cookie_prefix"},
	} {
		cases = append(cases, Case{Name: "agent/config: " + name, Check: func(w *Walk) {
			w.configRefused(func(config *Config) {
				withTokenHandler(config)
				c.change(config.TokenHandler)
			}, []string{"tokenHandler", c.says})
		}})
	}
	return cases
}

func loginAndSession(w *Walk) {
	b := w.browser()
	var fresh struct {
		Handled, IsLoggedIn bool
		CSRF                string
	}
	b.ok(b.agent("POST", "/login/end", `{"pageUrl":"`+appPage+`"}`), &fresh)
	if fresh.Handled || fresh.IsLoggedIn || fresh.CSRF != "" {
		w.T.Errorf("a fresh visit is told %+v", fresh)
	}
	b = w.loggedIn()
	for _, canary := range w.Issuer.secrets()["refresh reference"] {
		for name, value := range b.cookies {
			if strings.Contains(value, canary) {
				w.T.Errorf("cookie %s shows a reference", name)
			}
		}
	}
	again := fresh
	b.ok(b.agent("POST", "/login/end", `{"pageUrl":"`+appPage+`?tab=2"}`), &again)
	if again.Handled || !again.IsLoggedIn || again.CSRF != b.csrf {
		w.T.Errorf("a page load in the session is told %+v", again)
	}
	var session struct {
		IsLoggedIn bool
		CSRF       string
	}
	if b.ok(b.agent("GET", "/session", ""), &session); !session.IsLoggedIn || session.CSRF != b.csrf {
		w.T.Errorf("session is %+v", session)
	}
	var claims struct{ Sub string }
	if b.ok(b.agent("GET", "/claims", ""), &claims); claims.Sub != "alice-id" {
		w.T.Errorf("claims are %+v", claims)
	}
}

func loginAnswers(w *Walk) {
	for _, c := range []struct {
		change func(url.Values)
		status int
		code   string
	}{
		{func(q url.Values) { q.Set("state", "x") }, 400, "invalid_request"},
		{func(q url.Values) { q.Set("iss", foreignOrigin) }, 400, "invalid_request"},
		{func(q url.Values) { q.Del("code"); q.Set("error", "login_required") }, 401, "login_required"},
		{func(q url.Values) { q.Del("code"); q.Set("error", "invalid_scope") }, 400, "authorization_error"},
		{func(q url.Values) { q.Del("code"); q.Set("error", "invalid_scope"); q.Set("state", "x") }, 400, "invalid_request"},
		{func(q url.Values) { q.Set("code", "unknown") }, 400, "authorization_error"},
	} {
		b := w.browser()
		page, _ := json.Marshal(changed(w.Issuer.Authorize(w, b.start()), c.change))
		b.agentFails(b.agent("POST", "/login/end", `{"pageUrl":`+string(page)+`}`), c.status, c.code)
		delete(b.cookies, "__Host-shop-login")
		if len(b.cookies) > 0 {
			w.T.Errorf("a failed login left the cookies %v", b.cookies)
		}
	}
	// An answer is worth nothing in another browser than the one that asked.
	page, _ := json.Marshal(w.Issuer.Authorize(w, w.browser().start()))
	victim := w.browser()
	victim.start()
	victim.agentFails(victim.agent("POST", "/login/end", `{"pageUrl":`+string(page)+`}`), 400, "invalid_request")
}

func refreshing(w *Walk) {
	b := w.loggedIn()
	before := b.cookies["__Host-shop-at"]
	if r := b.agent("POST", "/refresh", ""); r.Status != http.StatusNoContent || b.cookies["__Host-shop-at"] == before {
		w.T.Errorf("refresh answered %d %s", r.Status, r.Body)
	}
	w.Passed(b.api("POST"))
	b.agentFails(b.agent("POST", "/refresh", "", header(csrfHeader, "wrong")), 401, "unauthorized_request")
	if n := w.Issuer.Sessions(); n != 1 {
		w.T.Errorf("%d refresh references live; want 1", n)
	}
}

func refreshFails(w *Walk) {
	b := w.loggedIn()
	w.Issuer.FailTokens(401, "invalid_client")
	b.agentFails(b.agent("POST", "/refresh", ""), 502, "authorization_server_error")
	w.Issuer.FailTokens(503, "temporarily_unavailable")
	b.agentFails(b.agent("POST", "/refresh", ""), 502, "authorization_server_error")
	w.Passed(b.api("POST")) // the session goes on
	w.Issuer.FailTokens(400, "invalid_grant")
	b.agentFails(b.agent("POST", "/refresh", ""), 401, "session_expired")
	if len(b.cookies) > 0 {
		w.T.Errorf("a session that has ended leaves the cookies %v", b.cookies)
	}
}

func loggingOut(w *Walk) {
	b := w.loggedIn()
	b.agentFails(b.agent("POST", "/logout", "", header(csrfHeader, "wrong")), 401, "unauthorized_request")
	b.agentFails(b.agent("POST", "/logout", `{"postLogoutRedirectUri":"`+foreignOrigin+`"}`), 400, "invalid_request")
	w.Passed(b.api("GET"))
	late := w.browser()
	for name, value := range b.cookies {
		late.cookies[name] = value
	}
	late.csrf = b.csrf
	for range 2 {
		var answer struct{ URL string }
		b.ok(b.agent("POST", "/logout", ""), &answer)
		if address, err := url.Parse(answer.URL); err != nil || address.Path != "/oauth/logout" || address.Query().Get("post_logout_redirect_uri") != appPage {
			w.T.Errorf("logout leads to %q", answer.URL)
		}
		if len(b.cookies) > 0 {
			w.T.Errorf("left after a logout: %v", b.cookies)
		}
	}
	if n := w.Issuer.Sessions(); n != 0 {
		w.T.Errorf("%d refresh references live after the logout", n)
	}
	late.agentFails(late.agent("POST", "/refresh", ""), 401, "session_expired")
	damaged := w.loggedIn()
	damaged.cookies["__Host-shop-id"] = "1damaged"
	if r := damaged.agent("POST", "/logout", ""); r.Status != http.StatusOK || len(damaged.cookies) > 0 {
		w.T.Errorf("a logout with a damaged cookie answered %d and left %v", r.Status, damaged.cookies)
	}
}

func backChannelLogout(w *Walk) {
	b := w.loggedIn()
	send := func(token string) Response {
		body := url.Values{"logout_token": {token}}.Encode()
		return b.agent("POST", "/backchannel-logout", body, header("Origin", ""), header("Cookie", ""),
			header("Content-Type", "application/x-www-form-urlencoded"))
	}
	for _, wrong := range [][2]string{{"other-session", ""}, {"", "bob-id"}, {"alice-session", "bob-id"}} {
		if r := send(w.Issuer.LogoutToken(wrong[0], wrong[1])); r.Status != http.StatusOK {
			w.T.Errorf("a logout that concerns nobody here: %d %s", r.Status, r.Body)
		}
		w.Passed(b.api("GET"))
	}
	for _, garbage := range []string{"", "x", strings.Replace(w.Issuer.LogoutToken("alice-session", ""), ".", ".e", 1)} {
		if r := send(garbage); r.Status != http.StatusBadRequest {
			w.T.Errorf("a logout token that is none: %d", r.Status)
		}
	}
	w.Passed(b.api("GET"))
	if r := send(w.Issuer.LogoutToken("alice-session", "alice-id")); r.Status != http.StatusOK {
		w.T.Errorf("logout from the issuer: %d %s", r.Status, r.Body)
	}
	w.Refused(b.api("GET"), http.StatusUnauthorized, "session_expired")
	if len(b.cookies) > 0 {
		w.T.Errorf("left after a logout from the issuer: %v", b.cookies)
	}
}
