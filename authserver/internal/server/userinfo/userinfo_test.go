package userinfo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// world holds one token, whatever reference is shown, and the people and apps that are known.
type world struct {
	live     storage.LiveAccess
	err      error
	noUser   bool
	noClient bool
}

func (w *world) FindAccess(context.Context, string, []byte) (storage.LiveAccess, error) {
	return w.live, w.err
}

func (w *world) FindAccessByJTI(context.Context, string, string) (storage.LiveAccess, error) {
	return w.live, w.err
}

type apps struct{ *world }

func (a apps) Find(_, id string) (config.Client, bool) {
	return config.Client{ID: id, Scopes: []string{"openid", "profile", "email"}}, !a.noClient
}

type people struct{ *world }

func (p people) Find(_, subject string) (users.User, bool) {
	return users.User{Subject: subject, Login: "alice", Claims: map[string]any{
		"name": "Alice", "email": "alice@example.org", "email_verified": true, "region": "eu"}}, !p.noUser
}

func newWorld(scope string) *world {
	return &world{live: storage.LiveAccess{Alive: true,
		AccessToken: storage.AccessToken{Scope: scope, ExpiresAt: now.Add(time.Minute)},
		Grant:       storage.Grant{ClientID: "partner", Subject: "u_alice", ExpiresAt: now.Add(time.Hour)}}}
}

func serve(t *testing.T, w *world, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	h, err := New(Deps{Tenant: "default", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Tokens: bearer.Finder{Store: w, Clients: apps{w}, Users: people{w}, Now: func() time.Time { return now }}})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.Mount(mux)
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	return rec
}

func request(method, header, form string) *http.Request {
	r := httptest.NewRequest(method, "/oauth/userinfo", strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r
}

func TestClaims(t *testing.T) {
	for scope, want := range map[string]string{
		"openid":                       `{"sub":"u_alice"}`,
		"openid profile":               `{"name":"Alice","preferred_username":"alice","sub":"u_alice"}`,
		"openid email":                 `{"email":"alice@example.org","email_verified":true,"sub":"u_alice"}`,
		"openid eventcatalog.read":     `{"sub":"u_alice"}`,
		"openid profile email offline": `{"email":"alice@example.org","email_verified":true,"name":"Alice","preferred_username":"alice","sub":"u_alice"}`,
	} {
		reference := tokens.NewReference(tokens.Access)
		for way, r := range map[string]*http.Request{
			"GET":         request("GET", "Bearer "+reference, ""),
			"POST header": request("POST", "bearer "+reference, ""),
			"POST body":   request("POST", "", "access_token="+reference),
		} {
			rec := serve(t, newWorld(scope), r)
			if rec.Code != 200 || rec.Body.String() != want || rec.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: %d %s", scope, way, rec.Code, rec.Body)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	reference := tokens.NewReference(tokens.Access)
	good := func() *http.Request { return request("GET", "Bearer "+reference, "") }
	for name, c := range map[string]struct {
		change    func(*world)
		r         *http.Request
		status    int
		challenge string // what it begins with
	}{
		"nothing":             {nil, request("GET", "", ""), 401, `Bearer realm="phantomgate"`},
		"in the query":        {nil, httptest.NewRequest("GET", "/oauth/userinfo?access_token="+reference, nil), 401, `Bearer realm="phantomgate"`},
		"Basic":               {nil, request("GET", "Basic eDp5", ""), 401, `Bearer error="invalid_token"`},
		"garbage":             {nil, request("GET", "Bearer garbage", ""), 401, `Bearer error="invalid_token"`},
		"a refresh reference": {nil, request("GET", "Bearer "+tokens.NewReference(tokens.Refresh), ""), 401, `Bearer error="invalid_token"`},
		"header and body":     {nil, request("POST", "Bearer "+reference, "access_token="+reference), 400, ""},
		"twice in the body":   {nil, request("POST", "", "access_token="+reference+"&access_token="+reference), 400, ""},
		"unknown":             {func(w *world) { w.err = storage.ErrNotFound }, good(), 401, `Bearer error="invalid_token"`},
		"revoked":             {func(w *world) { w.live.Alive = false }, good(), 401, `Bearer error="invalid_token"`},
		"expired":             {func(w *world) { w.live.ExpiresAt = now }, good(), 401, `Bearer error="invalid_token"`},
		"the grant expired":   {func(w *world) { w.live.Grant.ExpiresAt = now }, good(), 401, `Bearer error="invalid_token"`},
		"the user is gone":    {func(w *world) { w.noUser = true }, good(), 401, `Bearer error="invalid_token"`},
		"the client is gone":  {func(w *world) { w.noClient = true }, good(), 401, `Bearer error="invalid_token"`},
		"a machine's":         {func(w *world) { w.live.Grant.Subject = "" }, good(), 401, `Bearer error="invalid_token"`},
		"without openid":      {func(w *world) { w.live.Scope = "profile" }, good(), 403, `Bearer error="insufficient_scope"`},
		"the store is away":   {func(w *world) { w.err = storage.ErrUnavailable }, good(), 503, ""},
		"a fault":             {func(w *world) { w.err = errors.New("disk on fire") }, good(), 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld("openid profile")
			if c.change != nil {
				c.change(w)
			}
			rec := serve(t, w, c.r)
			challenge := rec.Header().Get("WWW-Authenticate")
			if rec.Code != c.status || !strings.HasPrefix(challenge, c.challenge) || c.challenge == "" && challenge != "" {
				t.Errorf("%d with the challenge %q", rec.Code, challenge)
			}
			for _, leak := range []string{"alice", "u_alice", reference, "fire"} {
				if strings.Contains(rec.Body.String(), leak) {
					t.Errorf("the refusal tells %q: %s", leak, rec.Body)
				}
			}
		})
	}
}
