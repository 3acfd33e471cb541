package exchange

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/apis/apitest"
)

// world is an issuer that answers exchanges, a service that received a token, and a clock.
type world struct {
	client  *Client
	guarded http.Handler
	issuer  *apitest.Issuer
	now     time.Time
	asked   atomic.Int64
	status  int
	answer  string // with %d for how often it was asked
	form    map[string][]string
	auth    string

	token string // what Token gave for the last request
	err   error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{issuer: apitest.NewIssuer(t), now: time.Unix(1_800_000_000, 0), status: 200,
		answer: `{"access_token":"exchanged-%d","issued_token_type":"` + tokenType + `","token_type":"Bearer","expires_in":60}`}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		w.form, w.auth = r.PostForm, r.Header.Get("Authorization")
		rw.WriteHeader(w.status)
		n := w.asked.Add(1)
		fmt.Fprint(rw, strings.ReplaceAll(w.answer, "%d", fmt.Sprint(n)))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	clock := func() time.Time { return w.now }
	var err error
	w.client, err = New(Config{TokenURL: server.URL + "/token", ClientID: "basket", ClientSecret: "s:ecret", Audience: "discount", Scope: "discount.fullaccess", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := apiguard.New(apiguard.Config{Issuer: w.issuer.Name, JWKSURL: w.issuer.JWKSURL, Audience: "basket", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	w.guarded = guard.Require("basket.read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.token, w.err = w.client.Token(r)
		if r.Header.Get("X-Forget") != "" {
			w.client.Forget(r)
		}
	}))
	return w
}

// call sends the service a request with a token of that jti, which lives for so long.
func (w *world) call(t *testing.T, jti string, life time.Duration, headers ...string) (received string) {
	t.Helper()
	received = w.issuer.Sign(t, jwt.MapClaims{"iss": w.issuer.Name, "sub": "u-" + jti, "aud": "basket", "client_id": "spa",
		"scope": "basket.read", "iat": w.now.Unix(), "exp": w.now.Add(life).Unix(), "jti": jti})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "bearer  "+received)
	for _, header := range headers {
		r.Header.Set(header, "1")
	}
	rec := httptest.NewRecorder()
	w.token, w.err = "", errors.New("it was not asked")
	w.guarded.ServeHTTP(rec, r)
	if rec.Code != 200 {
		t.Fatalf("the guard answered %d %s", rec.Code, rec.Body)
	}
	return received
}

func TestWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	received := w.call(t, "a", time.Minute)
	if w.err != nil || w.token != "exchanged-1" {
		t.Fatalf("gave %q, %v", w.token, w.err)
	}
	want := map[string]string{"grant_type": grantType, "subject_token": received, "subject_token_type": tokenType, "audience": "discount", "scope": "discount.fullaccess"}
	for name, value := range want {
		if len(w.form[name]) != 1 || w.form[name][0] != value {
			t.Errorf("%s is %q, want %q", name, w.form[name], value)
		}
	}
	if len(w.form) != len(want) {
		t.Errorf("the form has more: %v", w.form)
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("basket:s%3Aecret")); w.auth != want {
		t.Errorf("Authorization: %q", w.auth)
	}
}

// TestWhatIsKept: until shortly before its end, for the token it was exchanged for and no other.
func TestWhatIsKept(t *testing.T) {
	w := newWorld(t)
	for _, step := range []struct {
		after  time.Duration
		jti    string
		life   time.Duration
		header []string
		want   string
	}{
		{0, "a", time.Hour, nil, "exchanged-1"},
		{0, "a", time.Hour, nil, "exchanged-1"},
		{0, "b", time.Hour, nil, "exchanged-2"}, // somebody else's
		{54 * time.Second, "a", time.Hour, nil, "exchanged-1"},
		{time.Second, "a", time.Hour, nil, "exchanged-3"}, // five seconds before its end
		{0, "a", time.Hour, []string{"X-Forget"}, "exchanged-3"},
		{0, "a", time.Hour, nil, "exchanged-4"},
		{0, "c", 20 * time.Second, nil, "exchanged-5"}, // what was received ends before it
		{14 * time.Second, "c", 6 * time.Second, nil, "exchanged-5"},
		{time.Second, "c", 5 * time.Second, nil, "exchanged-6"},
		{0, "c", 5 * time.Second, nil, "exchanged-7"}, // too short to be kept at all
	} {
		w.now = w.now.Add(step.after)
		w.call(t, step.jti, step.life, step.header...)
		if w.err != nil || w.token != step.want {
			t.Errorf("%+v: gave %q, %v", step, w.token, w.err)
		}
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	w := newWorld(t)
	for n := range 2*maxEntries + 1 {
		w.client.keep(fmt.Sprint(n), kept{"token", w.now.Add(time.Minute)})
	}
	if len(w.client.kept) > maxEntries {
		t.Errorf("%d tokens are kept", len(w.client.kept))
	}
	clear(w.client.kept)
	for n := range maxEntries - 1 {
		w.client.keep(fmt.Sprint(n), kept{"token", w.now.Add(time.Minute)})
	}
	w.client.keep("last", kept{"token", w.now.Add(time.Hour)})
	w.now = w.now.Add(2 * time.Minute)
	for n := range maxEntries / 2 {
		w.client.keep(fmt.Sprint("late", n), kept{"token", w.now.Add(time.Minute)})
	}
	if _, ok := w.client.find("last"); !ok {
		t.Error("what still lives was dropped though there was something to drop that does not")
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		answer  string
		refused bool
	}{
		"the subject has ended":  {400, `{"error":"invalid_request"}`, true},
		"no rule":                {400, `{"error":"invalid_target"}`, false},
		"our secret":             {401, `{"error":"invalid_client"}`, false},
		"not now":                {503, `{"error":"temporarily_unavailable"}`, false},
		"a proxy's page":         {502, `<html>`, false},
		"no token":               {200, `{"issued_token_type":"` + tokenType + `","token_type":"Bearer","expires_in":60}`, false},
		"no life":                {200, `{"access_token":"x","issued_token_type":"` + tokenType + `","token_type":"Bearer"}`, false},
		"not a bearer token":     {200, `{"access_token":"x","issued_token_type":"` + tokenType + `","token_type":"N_A","expires_in":60}`, false},
		"a token of other type":  {200, `{"access_token":"x","issued_token_type":"urn:x","token_type":"Bearer","expires_in":60}`, false},
		"no issued_token_type":   {200, `{"access_token":"x","token_type":"Bearer","expires_in":60}`, false},
		"nothing, successfully":  {200, ``, false},
		"something of the error": {200, `{"error":"invalid_request"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.status, w.answer = c.status, c.answer
			received := w.call(t, "a", time.Minute)
			if w.err == nil || w.token != "" || errors.Is(w.err, ErrRefused) != c.refused {
				t.Errorf("gave %q, %v", w.token, w.err)
			}
			for _, secret := range []string{received, "s:ecret"} {
				if strings.Contains(fmt.Sprint(w.err), secret) {
					t.Error("the error holds a secret")
				}
			}
			w.call(t, "a", time.Minute)
			if w.asked.Load() != 2 {
				t.Error("a failure was kept")
			}
		})
	}
}

func TestWithoutAGuard(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer whatever")
	if token, err := w.client.Token(r); err == nil || token != "" || w.asked.Load() != 0 {
		t.Errorf("gave %q, %v", token, err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("an empty config is taken")
	}
}
