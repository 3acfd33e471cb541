package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// sealPurpose is what private keys are sealed for, with the kid as the id.
const sealPurpose = "signing-key"

const rsaBits = 3072

// methods are the algorithms that keys may have.
var methods = map[string]jwt.SigningMethod{
	config.ES256: jwt.SigningMethodES256,
	config.EdDSA: jwt.SigningMethodEdDSA,
	config.RS256: jwt.SigningMethodRS256,
}

// key is a signing key, unsealed.
type key struct {
	id        string
	method    jwt.SigningMethod
	private   crypto.Signer
	createdAt time.Time
	activeAt  time.Time
	expiresAt time.Time // zero until it has a successor
}

// generate makes a key and its row. The kid is the key's RFC 7638 thumbprint.
func generate(tenant, algorithm string, dataKey seal.Key, createdAt, activeAt time.Time) (storage.SigningKey, error) {
	private, err := newPrivate(algorithm)
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("keys: %w", err)
	}
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: algorithm, Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("keys: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	encoded, err := public.MarshalJSON()
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return storage.SigningKey{}, fmt.Errorf("keys: %w", err)
	}
	return storage.SigningKey{Tenant: tenant, ID: public.KeyID, Algorithm: algorithm,
		Private: dataKey.Seal(sealPurpose, public.KeyID, der), Public: encoded, CreatedAt: createdAt, ActiveAt: activeAt}, nil
}

func newPrivate(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case config.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case config.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case config.RS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("unknown algorithm %q; use ES256, EdDSA or RS256", algorithm)
}

// open unseals a row. Only what the seal protects is believed: the row's own copy of the public key is for people who
// look at the table, so that whoever can write to the database cannot slip in a key of theirs.
func open(row storage.SigningKey, dataKey seal.Key) (key, error) {
	der, err := dataKey.Open(sealPurpose, row.ID, row.Private)
	if err != nil {
		return key{}, fmt.Errorf("keys: signing key %s cannot be opened: it was altered, or data_key is not the one it was sealed under: %w", row.ID, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return key{}, fmt.Errorf("keys: signing key %s: %w", row.ID, err)
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || algorithmOf(private) != row.Algorithm {
		return key{}, fmt.Errorf("keys: signing key %s is not a key for %q", row.ID, row.Algorithm)
	}
	return key{id: row.ID, method: methods[row.Algorithm], private: private,
		createdAt: row.CreatedAt, activeAt: row.ActiveAt, expiresAt: row.ExpiresAt}, nil
}

// algorithmOf keeps a key to the one algorithm it was made for.
func algorithmOf(private crypto.Signer) string {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return config.ES256
		}
	case ed25519.PrivateKey:
		return config.EdDSA
	case *rsa.PrivateKey:
		return config.RS256
	}
	return ""
}

// published tells whether the key stands in the JWKS: from its creation until it expires.
func (k key) published(now time.Time) bool { return k.expiresAt.IsZero() || now.Before(k.expiresAt) }

func (k key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: k.method.Alg(), Use: "sig"}
}
