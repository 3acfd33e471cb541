package apiguard_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/phantomgate/phantomgate/apiguard"
)

// rig is an issuer, a clock and a guarded handler that answers what FromContext says.
type rig struct {
	issuer *issuer
	clock  *clock
	key    signer
	log    bytes.Buffer
	cfg    apiguard.Config
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{issuer: newIssuer(t), clock: &clock{}, key: newES256(t, "k1")}
	r.issuer.publish(r.key.jwk(t))
	r.cfg = apiguard.Config{
		Issuer: issuerName, JWKSURL: r.issuer.server.URL, Audience: audience, Now: r.clock.now,
		Logger: slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return r
}

func (r *rig) guard(t *testing.T, scopes ...string) http.Handler {
	t.Helper()
	guard, err := apiguard.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return guard.Require(scopes...)(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		claims, ok := apiguard.FromContext(req.Context())
		if !ok {
			t.Error("a guarded handler got no claims")
		}
		_ = json.NewEncoder(w).Encode(claims.All())
	}))
}

func call(h http.Handler, authorization ...string) *http.Response {
	req := httptest.NewRequest(http.MethodGet, "/events", nil)
	req.Header["Authorization"] = authorization
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func wantRefusal(t *testing.T, resp *http.Response, status int, code string) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("status %d, body %q is not JSON: %v", resp.StatusCode, body, err)
	}
	if resp.StatusCode != status || answer.Error != code || answer.Description == "" {
		t.Errorf("got %d %q (%s), want %d %q", resp.StatusCode, answer.Error, answer.Description, status, code)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %q, want no-store", got)
	}
	challenge := resp.Header.Get("WWW-Authenticate")
	switch {
	case status == http.StatusServiceUnavailable:
		if resp.Header.Get("Retry-After") == "" || challenge != "" {
			t.Errorf("a 503 needs Retry-After and no challenge, has %q and %q", resp.Header.Get("Retry-After"), challenge)
		}
	case code == "unauthorized_request":
		if challenge != `Bearer realm="eventcatalog"` {
			t.Errorf("challenge %q, want a bare one", challenge)
		}
	case !strings.HasPrefix(challenge, `Bearer realm="eventcatalog", error="`+code+`"`):
		t.Errorf("challenge %q lacks the error %q", challenge, code)
	}
}

func TestGoodTokens(t *testing.T) {
	for _, s := range []signer{newES256(t, "es"), newEdDSA(t, "ed"), newRS256(t, "rs")} {
		t.Run(s.method.Alg(), func(t *testing.T) {
			r := newRig(t)
			r.issuer.publish(s.jwk(t))
			h := r.guard(t, "eventcatalog.read")
			for _, scheme := range []string{"Bearer ", "bearer ", "BEARER   "} {
				if resp := call(h, scheme+s.good(t)); resp.StatusCode != http.StatusOK {
					t.Errorf("%q: status %d, want 200", scheme, resp.StatusCode)
				}
			}
			long := header(s.kid)
			long["typ"] = "Application/AT+JWT"
			if resp := call(h, "Bearer "+s.sign(t, long, goodClaims())); resp.StatusCode != http.StatusOK {
				t.Errorf("the long form of the type: status %d, want 200", resp.StatusCode)
			}
			if got := r.issuer.calls.Load(); got != 1 {
				t.Errorf("the keys were fetched %d times, want once", got)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	r := newRig(t)
	guard, err := apiguard.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	var got apiguard.Claims
	h := guard.Require("openid", "eventcatalog.read")(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got, _ = apiguard.FromContext(req.Context())
	}))
	call(h, "Bearer "+r.key.good(t))
	region, ok := got.String("region")
	if got.Issuer != issuerName || got.Subject != "u-1" || !slices.Equal(got.Audience, []string{audience}) || got.ClientID != "mobile" ||
		!slices.Equal(got.Scopes, []string{"eventcatalog.read", "openid"}) || got.ID != "t-1" || got.ACR != "pwd" || !slices.Equal(got.AMR, []string{"pwd"}) ||
		!got.IssuedAt.Equal(start) || !got.Expires.Equal(start.Add(5*time.Minute)) || !got.AuthTime.Equal(start.Add(-time.Minute)) || !ok || region != "eu" {
		t.Errorf("claims are not what was signed: %+v", got)
	}
	if _, ok := got.String("iat"); ok {
		t.Error("a number was given out as a string")
	}
	got.All()["region"] = "us"
	if region, _ := got.String("region"); region != "eu" {
		t.Error("All handed out the claims themselves")
	}
	if _, ok := apiguard.FromContext(t.Context()); ok {
		t.Error("claims without a guard")
	}
}

// badToken is a token that must be refused, with a control: the one change of config or key set with which the very same
// token passes, so that it is seen to be refused for the reason in its name and no other.
type badToken struct {
	name    string
	token   func(t *testing.T, r *rig) string
	control func(t *testing.T, r *rig)
}

func withClaim(name string, value any) func(*testing.T, *rig) string {
	return func(t *testing.T, r *rig) string {
		claims := goodClaims()
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
		return r.key.sign(t, header(r.key.kid), claims)
	}
}

func withHeader(name string, value any) func(*testing.T, *rig) string {
	return func(t *testing.T, r *rig) string {
		h := header(r.key.kid)
		h[name] = value
		if value == nil {
			delete(h, name)
		}
		return r.key.sign(t, h, goodClaims())
	}
}

func advance(d time.Duration) func(*testing.T, *rig) {
	return func(_ *testing.T, r *rig) { r.clock.advance(d) }
}

func badTokens(t *testing.T) []badToken {
	stranger, rs := newES256(t, "k1"), newRS256(t, "k1")
	otherAudiences := func(_ *testing.T, r *rig) { r.cfg.InsecureAcceptOtherAudiences = true }
	return []badToken{
		{"another key under a known id", func(t *testing.T, _ *rig) string { return stranger.good(t) },
			func(t *testing.T, r *rig) { r.issuer.publish(stranger.jwk(t)) }},
		{"an unknown key id", func(t *testing.T, r *rig) string { return r.key.sign(t, header("../../etc/passwd"), goodClaims()) },
			func(t *testing.T, r *rig) {
				jwk := r.key.jwk(t)
				jwk["kid"] = "../../etc/passwd"
				r.issuer.publish(jwk)
			}},
		{"no key id", withHeader("kid", nil), nil},
		{"a key id that is no string", withHeader("kid", []string{"k1"}), nil},
		{"its own key in jwk", func(t *testing.T, _ *rig) string {
			h := header("k1")
			h["jwk"] = stranger.jwk(t)
			return stranger.sign(t, h, goodClaims())
		}, nil},
		{"its own keys by jku and x5u", func(t *testing.T, _ *rig) string {
			elsewhere := newIssuer(t)
			elsewhere.publish(stranger.jwk(t))
			t.Cleanup(func() {
				if elsewhere.calls.Load() != 0 {
					t.Error("an address in the token was called")
				}
			})
			h := header("k1")
			h["jku"], h["x5u"] = elsewhere.server.URL, elsewhere.server.URL
			return stranger.sign(t, h, goodClaims())
		}, nil},
		{"alg none", func(t *testing.T, _ *rig) string {
			return signer{"k1", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType}.good(t)
		}, nil},
		{"HS256 with the public key as secret", func(t *testing.T, r *rig) string {
			der, err := x509.MarshalPKIXPublicKey(r.key.key.(crypto.Signer).Public())
			if err != nil {
				t.Fatal(err)
			}
			return signer{"k1", jwt.SigningMethodHS256, der}.good(t)
		}, nil},
		{"RS256 where only ES256 is accepted", func(t *testing.T, r *rig) string {
			r.issuer.publish(rs.jwk(t))
			r.cfg.Algorithms = []string{"ES256"}
			return rs.good(t)
		}, func(_ *testing.T, r *rig) { r.cfg.Algorithms = nil }},
		{"RS256 with the id of an ES256 key", func(t *testing.T, _ *rig) string { return rs.good(t) },
			func(t *testing.T, r *rig) { r.issuer.publish(rs.jwk(t)) }},
		{"typ JWT", withHeader("typ", "JWT"), nil},
		{"no typ", withHeader("typ", nil), nil},
		{"an introspection answer", withHeader("typ", "token-introspection+jwt"), nil},
		{"an unknown critical extension", withHeader("crit", []string{"exp"}), nil},
		{"another issuer", withClaim("iss", "https://evil.example.com"),
			func(_ *testing.T, r *rig) { r.cfg.Issuer = "https://evil.example.com" }},
		{"the issuer with a slash", withClaim("iss", issuerName+"/"), nil},
		{"no issuer", withClaim("iss", nil), nil},
		{"another audience", withClaim("aud", "shoppingbasket"),
			func(_ *testing.T, r *rig) { r.cfg.Audience = "shoppingbasket" }},
		{"no audience", withClaim("aud", nil), nil},
		{"a further audience", withClaim("aud", []string{audience, "shoppingbasket"}), otherAudiences},
		{"our audience twice", withClaim("aud", []string{audience, audience}), otherAudiences},
		{"expired", withClaim("exp", start.Add(-5*time.Second).Unix()), advance(-time.Second)},
		{"no exp", withClaim("exp", nil), nil},
		{"exp as text", withClaim("exp", "2099"), nil},
		{"not valid yet", withClaim("nbf", start.Add(6*time.Second).Unix()), advance(time.Second)},
		{"issued in the future", withClaim("iat", start.Add(6*time.Second).Unix()), advance(time.Second)},
		{"no iat", withClaim("iat", nil), nil},
		{"no sub", withClaim("sub", nil), nil},
		{"an empty sub", withClaim("sub", ""), nil},
		{"no client_id", withClaim("client_id", nil), nil},
		{"no jti", withClaim("jti", nil), nil},
		{"scope as a list", withClaim("scope", []string{"eventcatalog.read"}), nil},
		{"auth_time as text", withClaim("auth_time", "yesterday"), nil},
		{"amr as text", withClaim("amr", "pwd"), nil},
		{"not a JWT", func(*testing.T, *rig) string { return "pgat_00000000000000000000000000000000000000000001veP1o" }, nil},
		{"a cut signature", func(t *testing.T, r *rig) string { s := r.key.good(t); return s[:len(s)-4] }, nil},
		{"a bearer with no token", func(*testing.T, *rig) string { return "" }, nil},
		{"blanks in the token", func(t *testing.T, r *rig) string { return r.key.good(t) + " " + r.key.good(t) }, nil},
		{"a token without end", func(*testing.T, *rig) string { return strings.Repeat("a", 65<<10) }, nil},
	}
}

func TestBadTokensAreRefused(t *testing.T) {
	for _, bad := range badTokens(t) {
		t.Run(bad.name, func(t *testing.T) {
			r := newRig(t)
			token := bad.token(t, r)
			wantRefusal(t, call(r.guard(t, "eventcatalog.read"), "Bearer "+token), http.StatusUnauthorized, "invalid_token")
			if len(token) > 16 && strings.Contains(r.log.String(), token) {
				t.Error("the token is in the log")
			}
			if bad.control == nil {
				return
			}
			bad.control(t, r)
			if resp := call(r.guard(t, "eventcatalog.read"), "Bearer "+token); resp.StatusCode != http.StatusOK {
				t.Errorf("control: status %d, want 200 without the one fault", resp.StatusCode)
			}
		})
	}
}

func TestRequestsWithoutOneToken(t *testing.T) {
	r := newRig(t)
	h := r.guard(t, "eventcatalog.read")
	good := "Bearer " + r.key.good(t)
	for name, c := range map[string]struct {
		authorization []string
		status        int
		code          string
	}{
		"none":           {nil, http.StatusUnauthorized, "unauthorized_request"},
		"empty":          {[]string{""}, http.StatusUnauthorized, "unauthorized_request"},
		"basic":          {[]string{"Basic YTpi"}, http.StatusUnauthorized, "unauthorized_request"},
		"another scheme": {[]string{"Bearerish x"}, http.StatusUnauthorized, "unauthorized_request"},
		"two":            {[]string{good, good}, http.StatusBadRequest, "invalid_request"},
		"two schemes":    {[]string{"Basic YTpi", good}, http.StatusBadRequest, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) { wantRefusal(t, call(h, c.authorization...), c.status, c.code) })
	}
	t.Run("token in the query", func(t *testing.T) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/events?access_token="+r.key.good(t), nil))
		wantRefusal(t, rec.Result(), http.StatusUnauthorized, "unauthorized_request")
	})
	t.Run("identity in other headers", func(t *testing.T) {
		req := httptest.NewRequest(http.MethodGet, "/events", nil)
		for _, name := range []string{"X-User", "X-Forwarded-User", "X-Forwarded-Authorization", "X-Access-Token"} {
			req.Header.Set(name, good)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		wantRefusal(t, rec.Result(), http.StatusUnauthorized, "unauthorized_request")
	})
}

func TestScope(t *testing.T) {
	r := newRig(t)
	token := "Bearer " + r.key.good(t)
	resp := call(r.guard(t, "eventcatalog.read", "eventcatalog.write"), token)
	wantRefusal(t, resp, http.StatusForbidden, "insufficient_scope")
	if challenge := resp.Header.Get("WWW-Authenticate"); !strings.HasSuffix(challenge, `, scope="eventcatalog.read eventcatalog.write"`) {
		t.Errorf("challenge %q does not name the scopes needed", challenge)
	}
	// A scope is matched whole: neither a part nor another case of it will do.
	for _, scope := range []string{"eventcatalog", "eventcatalog.rea", "EVENTCATALOG.READ", "eventcatalog.read.all"} {
		wantRefusal(t, call(r.guard(t, scope), token), http.StatusForbidden, "insufficient_scope")
	}
	without := goodClaims()
	delete(without, "scope")
	wantRefusal(t, call(r.guard(t, "eventcatalog.read"), "Bearer "+r.key.sign(t, header("k1"), without)), http.StatusForbidden, "insufficient_scope")
}

func TestRequireRefusesToBeSetUpWithoutScopes(t *testing.T) {
	r := newRig(t)
	guard, err := apiguard.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, scopes := range [][]string{nil, {""}, {"a b"}, {`a"b`}, {"ok", "\x00"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Require(%q) was accepted", scopes)
				}
			}()
			guard.Require(scopes...)
		}()
	}
}

func TestNewReportsAllFaults(t *testing.T) {
	_, err := apiguard.New(apiguard.Config{
		JWKSURL: "http://issuer.example.com/jwks", Audience: `a"b`, Algorithms: []string{"none", "HS256", "ES256"}, Leeway: time.Hour,
	})
	if err == nil {
		t.Fatal("a config full of faults was accepted")
	}
	for _, part := range []string{"Issuer is missing", "Audience", "InsecureKeysOverHTTP", `"none"`, `"HS256"`, "Leeway"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not speak of %s:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), `"ES256" is not`) {
		t.Errorf("ES256 was refused:\n%v", err)
	}
	for name, keysURL := range map[string]string{"missing": "", "relative": "/jwks", "file": "file:///jwks", "with a password": "https://a:b@example.com/jwks"} {
		if _, err := apiguard.New(apiguard.Config{Issuer: issuerName, Audience: audience, JWKSURL: keysURL}); err == nil || strings.Contains(err.Error(), "a:b") {
			t.Errorf("JWKSURL %s: %v", name, err)
		}
	}
	for _, keysURL := range []string{"https://example.com/jwks", "http://localhost:8090/jwks", "http://[::1]/jwks"} {
		if _, err := apiguard.New(apiguard.Config{Issuer: issuerName, Audience: audience, JWKSURL: keysURL}); err != nil {
			t.Errorf("%s: %v", keysURL, err)
		}
	}
	if _, err := apiguard.New(apiguard.Config{Issuer: issuerName, Audience: audience, JWKSURL: "http://issuer/jwks", InsecureKeysOverHTTP: true}); err != nil {
		t.Errorf("InsecureKeysOverHTTP: %v", err)
	}
	if _, err := apiguard.New(apiguard.Config{Issuer: issuerName, Audience: audience, JWKSURL: "https://example.com/jwks", Algorithms: []string{}}); err == nil {
		t.Error("an empty list of algorithms was accepted")
	}
}
