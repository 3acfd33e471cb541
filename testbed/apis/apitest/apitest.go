// Package apitest serves a demo API to a test, with an issuer's keys whose tokens the test may shape as it likes. It issues
// nothing: whether an issuer would ever give such a token is not its question.
package apitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Issuer is a key pair and where its public half is published.
type Issuer struct {
	Name    string // `iss`
	JWKSURL string
	key     *ecdsa.PrivateKey
}

// NewIssuer publishes a new key until the test ends.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","x":%q,"y":%q}]}`, enc(point[1:33]), enc(point[33:]))
	}))
	t.Cleanup(keys.Close)
	return &Issuer{Name: "https://login.example.com", JWKSURL: keys.URL, key: key}
}

// Token signs a phantom token that lives for a minute. Its jti is new, and its client the app "mobile".
func (i *Issuer) Token(t testing.TB, subject, audience, scope string) string {
	t.Helper()
	now := time.Now()
	return i.Sign(t, jwt.MapClaims{
		"iss": i.Name, "sub": subject, "aud": audience, "client_id": "mobile", "scope": scope,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(),
	})
}

// Sign signs any claims as a phantom token.
func (i *Issuer) Sign(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"], token.Header["kid"] = "at+jwt", "k1"
	signed, err := token.SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// API is a served API.
type API struct {
	*Issuer
	URL string
}

// Serve serves an API that believes this issuer until the test ends.
func (i *Issuer) Serve(t testing.TB, handler http.Handler) *API {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &API{i, server.URL}
}

// Call sends a request with a bearer token, unless that is empty; a body is sent as JSON.
func (a *API) Call(t testing.TB, method, path, token, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}
