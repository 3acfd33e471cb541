package tokenhandler

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// fakeIssuer is an issuer as the agent meets it: token, revocation and userinfo endpoints, and a key. It rotates
// refresh references without a grace: what must go to it once is seen.
type fakeIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
	now func() time.Time

	mu      sync.Mutex
	codes   map[string]codeGrant
	refresh map[string]bool // alive or not
	made    int             // references
	forms   map[string][]url.Values
	secrets []string // whatever must appear in no log

	// How it misbehaves; zero is well.
	hold      chan struct{}                // keeps the token endpoint from answering
	answer    func(w http.ResponseWriter)  // replaces the token endpoint's answer
	revoked   func(w http.ResponseWriter)  // replaces the revocation endpoint's
	claims    func(claims jwt.MapClaims)   // changes the ID token
	header    func(header map[string]any)  // changes its header
	respond   func(members map[string]any) // changes the token endpoint's answer
	signer    *ecdsa.PrivateKey            // signs in place of key
	expiresIn int
}

// codeGrant is what the authorization request of a code asked for.
type codeGrant struct{ nonce, challenge string }

const (
	testClient = "spa"
	testSecret = "canary-secret-&+%="
)

func newFakeIssuer(t testing.TB, now func() time.Time) *fakeIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &fakeIssuer{
		key: key, now: now, codes: map[string]codeGrant{}, refresh: map[string]bool{}, forms: map[string][]url.Values{},
		secrets: []string{testSecret, url.QueryEscape(testSecret)}, expiresIn: 300,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", i.token)
	mux.HandleFunc("POST /oauth/revoke", i.revoke)
	mux.HandleFunc("GET /oauth/userinfo", i.userInfo)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// issuerKeys are the issuer's Keys.
type issuerKeys struct{ *fakeIssuer }

func (issuerKeys) Close() error { return nil }

func (i issuerKeys) KeyfuncCtx(context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != "k1" {
			return nil, errors.New("unknown kid")
		}
		return &i.key.PublicKey, nil
	}
}

// authorize is the issuer's side of a login in the browser: it returns the page that the browser comes back to.
func (i *fakeIssuer) authorize(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	q := u.Query()
	i.mu.Lock()
	defer i.mu.Unlock()
	code := i.secret("code")
	i.codes[code] = codeGrant{q.Get("nonce"), q.Get("code_challenge")}
	return q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.URL}}.Encode()
}

// secret returns a new reference. i.mu is held.
func (i *fakeIssuer) secret(kind string) string {
	i.made++
	s := fmt.Sprintf("canary_%s_%04d_with+signs&to=encode_", kind, i.made)
	i.secrets = append(i.secrets, s, url.QueryEscape(s))
	return s
}

// form reads a request and checks the client. i.mu is held.
func (i *fakeIssuer) form(w http.ResponseWriter, r *http.Request) bool {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if r.ParseForm() != nil || id != testClient || secret != testSecret {
		fail(w, http.StatusUnauthorized, "invalid_client")
		return false
	}
	i.forms[r.URL.Path] = append(i.forms[r.URL.Path], r.PostForm)
	return true
}

func (i *fakeIssuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	ok, hold, answer := i.form(w, r), i.hold, i.answer
	i.mu.Unlock()
	if hold != nil {
		<-hold
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case !ok:
		return
	case answer != nil:
		answer(w)
		return
	}
	members := map[string]any{"token_type": "bearer", "expires_in": i.expiresIn, "access_token": i.secret("at"), "refresh_token": i.secret("rt")}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		grant, known := i.codes[r.PostForm.Get("code")]
		delete(i.codes, r.PostForm.Get("code"))
		if !known || challengeOf(r.PostForm.Get("code_verifier")) != grant.challenge {
			fail(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		members["id_token"] = i.idToken(grant.nonce, members["access_token"].(string))
	case "refresh_token":
		if !i.refresh[r.PostForm.Get("refresh_token")] {
			fail(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		delete(i.refresh, r.PostForm.Get("refresh_token"))
	default:
		fail(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	i.refresh[members["refresh_token"].(string)] = true
	if i.respond != nil {
		i.respond(members)
	}
	writeJSON(w, http.StatusOK, members)
}

func (i *fakeIssuer) idToken(nonce, accessToken string) string {
	now := i.now()
	claims := jwt.MapClaims{
		"iss": i.URL, "sub": "u_alice", "aud": testClient, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"nonce": nonce, "sid": "issuer-session-1", "at_hash": accessHash("ES256", accessToken),
	}
	if i.claims != nil {
		i.claims(claims)
	}
	return i.sign("JWT", claims)
}

func (i *fakeIssuer) sign(typ string, claims jwt.MapClaims) string {
	token := jwt.Token{Method: jwt.SigningMethodES256, Header: map[string]any{"alg": "ES256", "typ": typ, "kid": "k1"}, Claims: claims}
	if i.header != nil {
		i.header(token.Header)
	}
	key := i.key
	if i.signer != nil {
		key = i.signer
	}
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err)
	}
	return signed
}

func (i *fakeIssuer) revoke(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.form(w, r) {
		return
	}
	if i.revoked != nil {
		i.revoked(w)
		return
	}
	delete(i.refresh, r.PostForm.Get("token"))
}

func (i *fakeIssuer) userInfo(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.forms[r.URL.Path] = append(i.forms[r.URL.Path], url.Values{"authorization": {r.Header.Get("Authorization")}})
	if i.answer != nil {
		i.answer(w)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"sub": "u_alice", "name": "Alice"})
}

// asked returns the forms that an endpoint received.
func (i *fakeIssuer) asked(path string) []url.Values {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.forms[path])
}

// behave changes the issuer while nobody else does.
func (i *fakeIssuer) behave(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

func fail(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]string{"error": code})
}

// canaries are the strings that may stand in no log.
func (i *fakeIssuer) canaries() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.secrets)
}

func decode(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatalf("the body is no JSON object: %q", body)
	}
	return members
}
