package logout

import (
	"context"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/sessions"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
	"github.com/phantomgate/phantomgate/authserver/internal/web/login"
)

const issuer = "https://id.example"

// house is an issuer with one person signed in, in the browser that sends the cookie "alice".
type house struct {
	ended []string
	err   error
}

func (h *house) Find(_ context.Context, r *http.Request, _ string) (storage.Session, error) {
	if _, err := r.Cookie("alice"); err != nil || slices.Contains(h.ended, "s_now") {
		return storage.Session{}, errors.Join(sessions.ErrNone, h.err)
	}
	return storage.Session{ID: "s_now", Subject: "u_alice"}, h.err
}

func (h *house) End(_ context.Context, _, id, by string) error {
	if by == "" {
		return errors.New("nobody asked")
	}
	if h.err == nil {
		h.ended = append(h.ended, id)
	}
	return h.err
}

type apps struct{}

func (apps) Find(_, id string) (config.Client, bool) {
	return config.Client{ID: id, Name: "Partner Tickets",
		PostLogoutRedirectURIs: []string{"https://app.example/bye", "https://app.example/bye?a=b", "http://127.0.0.1/bye"}}, id == "partner" || id == "other"
}

type people struct{}

func (people) Find(_, subject string) (users.User, bool) {
	return users.User{Subject: subject, Login: "alice"}, subject == "u_alice"
}

// hints are ID tokens in plain words: client, sub and sid.
type hints struct{}

func (hints) Verify(token, typ string) (jwt.MapClaims, error) {
	parts := strings.Split(token, " ")
	if len(parts) != 3 || typ != oauth.TypeIDToken {
		return nil, errors.New("not ours")
	}
	return jwt.MapClaims{"iss": issuer, "aud": parts[0], "sub": parts[1], "sid": parts[2], "exp": float64(1)}, nil
}

func newMux(t *testing.T, h *house) *http.ServeMux {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	pages, err := login.New(issuer, log)
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.NewKey(make([]byte, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	handler, err := New(Deps{Issuer: issuer, Tenant: "default", Clients: apps{}, Users: people{}, Sessions: h,
		Tickets: sessions.Tickets{Key: key, Now: time.Now}, Keys: hints{}, Pages: pages, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	handler.Mount(mux)
	return mux
}

func send(mux *http.ServeMux, method, path string, params url.Values, cookies []*http.Cookie, headers ...string) *http.Response {
	r := httptest.NewRequest(method, issuer+path+"?"+params.Encode(), nil)
	if method == http.MethodPost {
		r = httptest.NewRequest(method, issuer+path, strings.NewReader(params.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	return rec.Result()
}

func text(t *testing.T, r *http.Response) (heading, ticket string) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	find := func(pattern string) string {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(string(body)); found != nil {
			return html.UnescapeString(found[1])
		}
		return ""
	}
	return find(`<h1>([^<]*)</h1>`), find(`name="ticket" value="([^"]*)"`)
}

var alice = []*http.Cookie{{Name: "alice", Value: "x"}}

func TestLogout(t *testing.T) {
	for name, c := range map[string]struct {
		params  url.Values
		cookies []*http.Cookie
		method  string
		status  int
		answer  string // a heading, or where to
		ended   []string
	}{
		"the hint is this login":                        {url.Values{"id_token_hint": {"partner u_alice s_now"}}, alice, "GET", 200, "You are signed out", []string{"s_now"}},
		"the hint is an earlier login of the same user": {url.Values{"id_token_hint": {"partner u_alice s_old"}}, alice, "GET", 200, "Sign out?", nil},
		"by POST of a sibling":                          {url.Values{"id_token_hint": {"partner u_alice s_now"}}, alice, "POST", 200, "You are signed out", []string{"s_now"}},
		"with a way back": {url.Values{"id_token_hint": {"partner u_alice s_now"}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"a b"}}, alice, "GET",
			303, "https://app.example/bye?state=a+b", []string{"s_now"}},
		"with a way back that has a query": {url.Values{"id_token_hint": {"partner u_alice s_now"}, "post_logout_redirect_uri": {"https://app.example/bye?a=b"}, "state": {"s"}}, alice, "GET",
			303, "https://app.example/bye?a=b&state=s", []string{"s_now"}},
		"loopback": {url.Values{"id_token_hint": {"partner u_alice s_now"}, "post_logout_redirect_uri": {"http://127.0.0.1:5555/bye"}}, alice, "GET",
			303, "http://127.0.0.1:5555/bye", []string{"s_now"}},
		"no hint": {nil, alice, "GET", 200, "Sign out?", nil},
		"no hint, a way back": {url.Values{"client_id": {"partner"}, "post_logout_redirect_uri": {"https://app.example/bye"}}, alice, "GET",
			200, "Sign out?", nil},
		"somebody else's hint":        {url.Values{"id_token_hint": {"partner u_bob s_bob"}}, alice, "GET", 200, "Sign out?", nil},
		"a hint that is not ours":     {url.Values{"id_token_hint": {"nonsense"}}, alice, "GET", 200, "Sign out?", nil},
		"a POST without our cookie":   {url.Values{"id_token_hint": {"partner u_alice s_now"}}, nil, "POST", 200, "Sign out?", nil},
		"signed out already":          {url.Values{"id_token_hint": {"partner u_alice s_now"}}, nil, "GET", 200, "You are signed out", nil},
		"signed out, with a way back": {url.Values{"client_id": {"partner"}, "post_logout_redirect_uri": {"https://app.example/bye"}}, nil, "GET", 303, "https://app.example/bye", nil},

		"a foreign way back": {url.Values{"id_token_hint": {"partner u_alice s_now"}, "post_logout_redirect_uri": {"https://evil.example/"}}, alice, "GET",
			400, "Signing out did not work", nil},
		"a way back of nobody": {url.Values{"post_logout_redirect_uri": {"https://app.example/bye"}}, alice, "GET", 400, "Signing out did not work", nil},
		"an unknown client":    {url.Values{"client_id": {"nobody"}}, alice, "GET", 400, "Signing out did not work", nil},
		"two clients": {url.Values{"client_id": {"other"}, "id_token_hint": {"partner u_alice s_now"}}, alice, "GET",
			400, "Signing out did not work", nil},
		"longer than our form can carry on": {url.Values{"client_id": {"partner"}, "post_logout_redirect_uri": {"https://app.example/bye"},
			"state": {strings.Repeat("x", 20_000)}}, alice, "POST", 400, "Signing out did not work", nil},
		"a parameter twice": {url.Values{"state": {"a", "b"}}, alice, "GET", 400, "Signing out did not work", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := &house{}
			got := send(newMux(t, h), c.method, "/oauth/logout", c.params, c.cookies)
			answer, _ := text(t, got)
			if got.StatusCode == http.StatusSeeOther {
				answer = got.Header.Get("Location")
			}
			if got.StatusCode != c.status || answer != c.answer || !slices.Equal(h.ended, c.ended) {
				t.Errorf("%d %q, ended %v; want %d %q, ended %v", got.StatusCode, answer, h.ended, c.status, c.answer, c.ended)
			}
			if cleared := len(got.Cookies()) == 2; len(c.ended) > 0 && !cleared {
				t.Errorf("the browser keeps its cookies: %v", got.Cookies())
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	h := &house{}
	mux := newMux(t, h)
	page := send(mux, "GET", "/oauth/logout", url.Values{"client_id": {"partner"}, "post_logout_redirect_uri": {"https://app.example/bye"}, "state": {"s"}}, alice)
	_, ticket := text(t, page)
	browser := append(page.Cookies(), alice...)
	leave := url.Values{"ticket": {ticket}, "decision": {"leave"}}

	if got := send(mux, "POST", "/oauth/logout/confirm", leave, alice); got.StatusCode != 400 {
		t.Errorf("LOGOUT CSRF: a browser that was not shown the page is answered %d", got.StatusCode)
	}
	if got := send(mux, "POST", "/oauth/logout/confirm", leave, browser, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 {
		t.Errorf("a form of another site is answered %d", got.StatusCode)
	}
	if got := send(mux, "POST", "/oauth/logout/confirm", url.Values{"ticket": {ticket}}, browser); got.StatusCode != 400 {
		t.Errorf("no decision is answered %d", got.StatusCode)
	}
	if heading, _ := text(t, send(mux, "POST", "/oauth/logout/confirm", url.Values{"ticket": {ticket}, "decision": {"stay"}}, browser)); heading != "You are still signed in" {
		t.Errorf("to stay is answered %q", heading)
	}
	if len(h.ended) != 0 {
		t.Fatalf("ended without a word: %v", h.ended)
	}
	for range 2 { // it works twice
		got := send(mux, "POST", "/oauth/logout/confirm", leave, browser)
		if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != "https://app.example/bye?state=s" {
			t.Errorf("to leave is answered %d %q", got.StatusCode, got.Header.Get("Location"))
		}
	}
	if !slices.Contains(h.ended, "s_now") {
		t.Errorf("ended: %v", h.ended)
	}
}

// TestFormerLogin: an ID token of another login of the same user ends nothing by itself, and both logins once the person
// has said so.
func TestFormerLogin(t *testing.T) {
	h := &house{}
	mux := newMux(t, h)
	page := send(mux, "GET", "/oauth/logout", url.Values{"id_token_hint": {"partner u_alice s_old"}}, alice)
	_, ticket := text(t, page)
	if len(h.ended) != 0 {
		t.Fatalf("ended without a word: %v", h.ended)
	}
	send(mux, "POST", "/oauth/logout/confirm", url.Values{"ticket": {ticket}, "decision": {"leave"}}, append(page.Cookies(), alice...))
	if !slices.Equal(h.ended, []string{"s_now", "s_old"}) {
		t.Errorf("ended: %v", h.ended)
	}
}

// TestNotSignedOut: who is told that they are signed out is.
func TestNotSignedOut(t *testing.T) {
	h := &house{err: storage.ErrUnavailable}
	got := send(newMux(t, h), "GET", "/oauth/logout", url.Values{"id_token_hint": {"partner u_alice s_now"}}, alice)
	if heading, _ := text(t, got); got.StatusCode != http.StatusServiceUnavailable || heading != "Signing out did not work" || len(got.Cookies()) != 0 {
		t.Errorf("%d %q %v", got.StatusCode, heading, got.Cookies())
	}
}
