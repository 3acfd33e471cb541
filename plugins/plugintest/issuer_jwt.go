package plugintest

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Behaviour is how a fake issuer answers an introspection. The zero value is
// a healthy issuer; a set field is the fault a case is about.
type Behaviour struct {
	// Hold keeps every answer back until it is closed.
	Hold <-chan struct{}
	// Status, ContentType and Body replace the whole answer when Status is set.
	Status      int
	ContentType string
	Body        string
	// CacheControl replaces the header of a phantom token.
	CacheControl string
	// Headers changes those of a phantom token's answer.
	Headers func(h http.Header)
	// Mint changes header and claims before they are signed.
	Mint func(header map[string]any, claims jwt.MapClaims)
	// Members changes a foreign issuer's JSON answer before it is sent.
	Members func(answer map[string]any)
	// Sign replaces the signing; k holds the issuer's keys.
	Sign func(k *keyring, header map[string]any, claims jwt.MapClaims) string
	// JWKSStatus, when set, is all the key endpoint answers.
	JWKSStatus int
}

// hold waits as told; true means that the asker has gone.
func (b Behaviour) hold(ctx context.Context) (gone bool) {
	if b.Hold == nil {
		return false
	}
	select {
	case <-b.Hold:
		return false
	case <-ctx.Done():
		return true
	}
}

func (b Behaviour) answer(w http.ResponseWriter) (answered bool) {
	if b.Status == 0 {
		return false
	}
	w.Header().Set("Content-Type", b.ContentType)
	w.WriteHeader(b.Status)
	w.Write([]byte(b.Body))
	return true
}

func (b Behaviour) mint(k *keyring, claims jwt.MapClaims) string {
	header := map[string]any{"typ": "at+jwt", "alg": "ES256", "kid": k.current().id}
	if b.Mint != nil {
		b.Mint(header, claims)
	}
	if b.Sign != nil {
		return b.Sign(k, header, claims)
	}
	return k.sign(header, claims)
}

func (i *Issuer) claims(asked Asked, token Token, scopes []string) jwt.MapClaims {
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": i.URL, "sub": token.Subject, "client_id": cmp.Or(token.Client, "mobile"), "scope": strings.Join(scopes, " "),
		"iat": now.Unix(), "exp": token.Expires.Unix(), "jti": rand.Text(),
		"auth_time": now.Add(-token.AuthAge).Unix(), "amr": []string{"pwd"},
	}
	if token.ACR != "" {
		claims["acr"] = token.ACR
	}
	var audiences []string
	for _, scope := range scopes {
		audience, _, _ := strings.Cut(scope, ".")
		if !slices.Contains(audiences, audience) {
			audiences = append(audiences, audience)
		}
	}
	claims["aud"] = audiences
	if len(audiences) == 1 {
		claims["aud"] = audiences[0]
	}
	if asked.Audience == "eventcatalog" {
		claims["region"] = "eu"
	}
	return claims
}

// keyring holds the issuer's signing keys, the newest last.
type keyring struct {
	mu   sync.Mutex
	keys []signingKey
}

type signingKey struct {
	id      string
	private *ecdsa.PrivateKey
}

func newSigningKey(id string) signingKey {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("plugintest: no P-256 key: %v", err))
	}
	return signingKey{id: id, private: private}
}

func (k *keyring) rotate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, newSigningKey(fmt.Sprintf("key-%d", len(k.keys)+1)))
}

func (k *keyring) current() signingKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys[len(k.keys)-1]
}

// public is the JWKS (RFC 7517).
func (k *keyring) public() map[string]any {
	k.mu.Lock()
	defer k.mu.Unlock()
	var keys []map[string]any
	for _, key := range k.keys {
		x, y := key.coordinates()
		keys = append(keys, map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.id,
			"x": base64.RawURLEncoding.EncodeToString(x), "y": base64.RawURLEncoding.EncodeToString(y)})
	}
	return map[string]any{"keys": keys}
}

// coordinates returns the public point's x and y, 32 bytes each.
func (k signingKey) coordinates() (x, y []byte) {
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(fmt.Sprintf("plugintest: public key: %v", err))
	}
	return point[1:33], point[33:]
}

func (k *keyring) sign(header map[string]any, claims jwt.MapClaims) string {
	return signES256(k.current().private, header, claims)
}

func signES256(key *ecdsa.PrivateKey, header map[string]any, claims jwt.MapClaims) string {
	token := jwt.Token{Header: header, Claims: claims, Method: jwt.SigningMethodES256}
	signed, err := token.SignedString(key)
	if err != nil {
		panic(fmt.Sprintf("plugintest: signing: %v", err))
	}
	return signed
}
