package gateway

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// newReference makes a well-formed reference out of n.
func newReference(n uint64) string {
	seed := sha256.Sum256(fmt.Append(nil, n))
	body := "pgat_" + leftPad(new(big.Int).SetBytes(seed[:]), 43)
	return body + leftPad(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(body)))), 6)
}

func leftPad(n *big.Int, width int) string {
	s := n.Text(62)
	return strings.Repeat("0", width-len(s)) + s
}

// fakeIssuer is an issuer without a network that says yes to everything, with one and the same JWT, so that filling a
// large cache takes no signatures. RS256 is the quickest to verify.
type fakeIssuer struct {
	key         *rsa.PrivateKey
	token, keys string
	asked       atomic.Int32
	followed    http.Header                    // stands in the answers beside the JWT
	answer      func() (*http.Response, error) // instead of the JWT
	tokenOf     func(reference string) string  // instead of token
}

// rsaKey is every fakeIssuer's: making one takes longer than most tests.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newFakeIssuer lays change over the JWT's claims.
func newFakeIssuer(tb testing.TB, change jwt.MapClaims) *fakeIssuer {
	key, err := rsaKey()
	if err != nil {
		tb.Fatal(err)
	}
	claims := jwt.MapClaims{
		"iss": "https://issuer.example", "aud": "eventcatalog", "sub": "9b2fcd1a", "client_id": "spa", "scope": "eventcatalog.read",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": "7e0e7f1c", "region": "eu",
	}
	maps.Copy(claims, change)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	token.Header["typ"], token.Header["kid"] = "at+jwt", "1"
	signed, err := token.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "e": "AQAB",
		"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
	}}})
	if err != nil {
		tb.Fatal(err)
	}
	return &fakeIssuer{key: key, token: signed, keys: string(keys)}
}

func (i *fakeIssuer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		i.asked.Add(1)
		if i.answer != nil {
			return i.answer()
		}
	}
	contentType, body := "application/jwt", i.token
	if r.Method == http.MethodPost && i.tokenOf != nil {
		body = i.tokenOf(r.PostFormValue("token"))
	}
	if r.Method == http.MethodGet {
		contentType, body = "application/json", i.keys
	}
	header := http.Header{"Content-Type": {contentType}}
	maps.Copy(header, i.followed)
	return &http.Response{
		StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}
