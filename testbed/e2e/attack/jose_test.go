package attack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// forge changes claims of a JWT, in pairs, and keeps its signature.
func forge(t *testing.T, token string, pairs ...any) string {
	t.Helper()
	claims, parts := rptest.Claims(t, token), strings.Split(token, ".")
	for i := 0; i+1 < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		claims[name] = pairs[i+1]
	}
	return parts[0] + "." + encode(t, claims) + "." + parts[2]
}

// forgeries are what a verifier may be made to take for a signature.
func forgeries(t *testing.T, w *rptest.World, token, typ string) map[string]string {
	t.Helper()
	parts := strings.Split(token, ".")
	keys, _ := w.Get(t, "/oauth/jwks").Members["keys"].([]any)
	key, _ := keys[0].(map[string]any)
	x, _ := key["x"].(string)
	kid, _ := key["kid"].(string)
	signedHMAC := func(secret []byte) string {
		head := encode(t, map[string]any{"alg": "HS256", "typ": typ, "kid": kid})
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(head + "." + parts[1]))
		return head + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	head := func(more ...any) string {
		h := map[string]any{"alg": "ES256", "typ": typ, "kid": kid}
		for i := 0; i+1 < len(more); i += 2 {
			name, _ := more[i].(string)
			h[name] = more[i+1]
		}
		return encode(t, h)
	}
	jwks := w.Get(t, "/oauth/jwks").Body
	return map[string]string{
		"alg none":                    head("alg", "none") + "." + parts[1] + ".",
		"alg None":                    head("alg", "None") + "." + parts[1] + ".",
		"alg none, keeping it":        head("alg", "none") + "." + parts[1] + "." + parts[2],
		"HMAC of the public key":      signedHMAC([]byte(x)),
		"HMAC of the JWKS":            signedHMAC([]byte(jwks)),
		"HMAC of nothing":             signedHMAC(nil),
		"no signature":                parts[0] + "." + parts[1] + ".",
		"a signature of zeroes":       parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"a changed sub":               forge(t, token, "sub", "u_evil"),
		"a kid that is a path":        head("kid", "../../../dev/null") + "." + parts[1] + "." + parts[2],
		"a kid that is SQL":           head("kid", "x' OR '1'='1") + "." + parts[1] + "." + parts[2],
		"no kid":                      encode(t, map[string]any{"alg": "ES256", "typ": typ}) + "." + parts[1] + "." + parts[2],
		"a kid that is a number":      head("kid", 1) + "." + parts[1] + "." + parts[2],
		"a key of its own":            head("jwk", key) + "." + parts[1] + "." + parts[2],
		"a key from elsewhere":        head("jku", "https://evil.example/jwks") + "." + parts[1] + "." + parts[2],
		"a certificate":               head("x5u", "https://evil.example/x5u", "x5c", []string{"AAAA"}) + "." + parts[1] + "." + parts[2],
		"a critical header":           head("crit", []string{"evil"}, "evil", true) + "." + parts[1] + "." + parts[2],
		"RS256 with an EC key":        head("alg", "RS256") + "." + parts[1] + "." + parts[2],
		"EdDSA with an EC key":        head("alg", "EdDSA") + "." + parts[1] + "." + parts[2],
		"a JWE":                       strings.Join([]string{head("alg", "dir", "enc", "A256GCM"), "", "AAAA", "AAAA", "AAAA"}, "."),
		"four parts":                  token + ".x",
		"one part":                    "x",
		"dots":                        "..",
		"a signature with bits after": malleable(token),
	}
}

// malleable sets the bits of the last base64 letter that carry nothing: a lenient decoder reads the same signature.
func malleable(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + string(alphabet[last^1])
}

// TestForgedHintsAreNone hands forged ID tokens to the two endpoints that take one.
func TestForgedHintsAreNone(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	tokens := w.TokensFor(t, b, "alice", rptest.Web().Ask("openid catalogue.read"))
	phantom := w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", tokens.Access), "Accept", "application/jwt").Body
	signed := w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", tokens.Access), "Accept", "application/token-introspection+jwt").Body
	hints := forgeries(t, w, tokens.ID, "JWT")
	hints["a phantom token"], hints["an answer about a token"], hints["a reference"] = phantom, signed, tokens.Access
	hints["another client's"] = w.TokensFor(t, b, "alice", rptest.Other().Ask("openid")).ID
	for name, hint := range hints {
		a := rptest.Web().Ask("openid", "prompt", "none", "id_token_hint", hint)
		if got := w.Answer(t, w.Open(t, b, a), a); got.Get("error") != "invalid_request" {
			t.Errorf("authorize took %s: %v", name, got)
		}
		if name == "another client's" { // logout takes it: it is a good ID token of this login
			continue
		}
		page, err := b.Open(t.Context(), w.URL+"/oauth/logout?"+rptest.Form("id_token_hint", hint).Encode())
		if err != nil {
			t.Fatal(err)
		}
		if page.Form == nil || !page.Form.Fields["decision"] {
			t.Errorf("logout took %s: %d", name, page.Status)
		}
	}
	if !w.Active(t, tokens.Access) {
		t.Error("a forged hint signed somebody out")
	}
	a := rptest.Web().Ask("openid", "prompt", "none", "id_token_hint", tokens.ID) // the control
	if w.Answer(t, w.Open(t, b, a), a).Get("code") == "" {
		t.Error("the good hint is refused")
	}
}

// TestNoJWTIsAReference shows JWTs where a reference belongs, and one kind of reference where the other does.
func TestNoJWTIsAReference(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	tokens := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask("openid offline_access catalogue.read"))
	phantom := w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", tokens.Access), "Accept", "application/jwt").Body
	jti := w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", tokens.Access)).Text("jti")
	for name, token := range map[string]string{
		"the phantom token": phantom, "the ID token": tokens.ID, "the refresh token": tokens.Refresh, "the jti": jti,
		"in lower case": strings.ToLower(tokens.Access), "one more letter": tokens.Access + "0", "a NUL": tokens.Access + "\x00", "SQL": "pgat_' OR '1'='1",
		"of the other kind": "pgrt_" + tokens.Access[5:], "the other kind of it": "pgat_" + tokens.Refresh[5:],
	} {
		for form, active := range w.Introspections(t, rptest.Gateway(), token) {
			if active {
				t.Errorf("%s is active as %s", name, form)
			}
		}
		if !strings.Contains(name, "NUL") { // no header can carry one
			w.Userinfo(t, token).Refused(t, http.StatusUnauthorized, "invalid_token")
			if reply := w.Operate(t, token, "GET", "/admin/v1/tokens", ""); reply.Status != http.StatusUnauthorized {
				t.Errorf("%s at the operators' API: %d", name, reply.Status)
			}
		}
		if name != "the refresh token" {
			w.Refresh(t, rptest.Web(), token).Refused(t, http.StatusBadRequest, "invalid_grant")
		}
	}
	w.Refresh(t, rptest.Web(), tokens.Access).Refused(t, http.StatusBadRequest, "invalid_grant")
}

// TestAnAPITakesOnlyPhantomTokensForItself is the other side: an API with apiguard, shown everything that we sign.
func TestAnAPITakesOnlyPhantomTokensForItself(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	guard, err := apiguard.New(apiguard.Config{Issuer: w.URL, Audience: "catalogue", JWKSURL: w.URL + "/oauth/jwks"})
	if err != nil {
		t.Fatal(err)
	}
	api := guard.Require("catalogue.read")(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusOK) }))
	status := func(token string) int {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, req)
		return rec.Code
	}
	tokens := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask("openid catalogue.read basket.read"))
	minted := func(accept string, more ...string) string {
		return w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.With(rptest.Form("token", tokens.Access), more...), "Accept", accept).Body
	}
	good := minted("application/jwt", "audience", "catalogue")
	if got := status(good); got != http.StatusOK {
		t.Fatalf("the control: %d", got)
	}
	bad := forgeries(t, w, good, "at+jwt")
	bad["the ID token"], bad["the reference"] = tokens.ID, tokens.Access
	bad["an answer about the token"] = minted("application/token-introspection+jwt", "audience", "catalogue")
	bad["another audience's"] = minted("application/jwt", "audience", "basket")
	for name, token := range bad {
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("the API took %s: %d", name, got)
		}
	}
}
