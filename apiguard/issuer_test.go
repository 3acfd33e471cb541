package apiguard_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuerName = "https://login.example.com"
	audience   = "eventcatalog"
)

// start is the fixed time of these tests.
var start = time.Unix(1_800_000_000, 0)

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// issuer publishes keys and signs tokens.
type issuer struct {
	server *httptest.Server
	calls  atomic.Int32

	mu     sync.Mutex
	status int // 0: the key set
	body   []byte
	set    []map[string]any
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.server = httptest.NewServer(http.HandlerFunc(i.serveKeys))
	t.Cleanup(i.server.Close)
	return i
}

func (i *issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.calls.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.status != 0:
		w.Header().Set("Location", i.server.URL+"/elsewhere")
		w.WriteHeader(i.status)
	case i.body != nil:
		_, _ = w.Write(i.body)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.set})
	}
}

func (i *issuer) answer(status int, body []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.body = status, body
}

func (i *issuer) publish(jwks ...map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.set = jwks
}

// signer is a private key with its method and id.
type signer struct {
	kid    string
	method jwt.SigningMethod
	key    any
}

func newES256(t *testing.T, kid string) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, jwt.SigningMethodES256, key}
}

func newEdDSA(t *testing.T, kid string) signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, jwt.SigningMethodEdDSA, key}
}

func newRS256(t *testing.T, kid string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return signer{kid, jwt.SigningMethodRS256, key}
}

func (s signer) jwk(t *testing.T) map[string]any {
	t.Helper()
	enc := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"kid": s.kid, "alg": s.method.Alg(), "use": "sig"}
	switch pub := s.key.(crypto.Signer).Public().(type) {
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", enc(point[1:33]), enc(point[33:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", enc(pub)
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", enc(pub.N.Bytes()), enc(big.NewInt(int64(pub.E)).Bytes())
	default:
		t.Fatalf("unknown key %T", pub)
	}
	return jwk
}

func header(kid string) map[string]any { return map[string]any{"typ": "at+jwt", "kid": kid} }

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": issuerName, "sub": "u-1", "aud": audience, "client_id": "mobile", "scope": "eventcatalog.read openid",
		"iat": start.Unix(), "exp": start.Add(5 * time.Minute).Unix(), "jti": "t-1", "region": "eu",
		"auth_time": start.Add(-time.Minute).Unix(), "acr": "pwd", "amr": []string{"pwd"},
	}
}

// sign makes a token with this header beyond "alg".
func (s signer) sign(t *testing.T, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(s.method, claims)
	delete(token.Header, "typ")
	for k, v := range header {
		token.Header[k] = v
	}
	signed, err := token.SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (s signer) good(t *testing.T) string {
	t.Helper()
	return s.sign(t, header(s.kid), goodClaims())
}
