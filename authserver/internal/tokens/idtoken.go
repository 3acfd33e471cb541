package tokens

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// IDToken is what a client learns of a login (OpenID Connect Core, 2). What is known of the user it asks at userinfo.
type IDToken struct {
	Issuer    string
	Subject   string
	ClientID  string
	Login     Value // when and how the user logged in; its claims are not told
	Nonce     string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

type idClaims struct {
	signedOnly
	Issuer     string   `json:"iss"`
	Subject    string   `json:"sub"`
	Audience   string   `json:"aud"`
	IssuedAt   int64    `json:"iat"`
	ExpiresAt  int64    `json:"exp"`
	AuthTime   int64    `json:"auth_time"`
	Nonce      string   `json:"nonce,omitempty"`
	ACR        string   `json:"acr,omitempty"`
	AMR        []string `json:"amr,omitempty"`
	SessionID  string   `json:"sid,omitempty"`
	AccessHash string   `json:"at_hash"`
}

// Sign signs the ID token and binds it to the access token it is answered with. The hash in at_hash is that of the
// signature's algorithm, and a ring whose algorithm has just been changed may sign with either: so the algorithm is read
// from what was signed, and where the guess was wrong it is signed again.
func (t IDToken) Sign(s Signer, accessToken string) (string, error) {
	claims := idClaims{
		Issuer: t.Issuer, Subject: t.Subject, Audience: t.ClientID, IssuedAt: t.IssuedAt.Unix(), ExpiresAt: t.ExpiresAt.Unix(),
		AuthTime: t.Login.AuthTime, Nonce: t.Nonce, ACR: t.Login.ACR, AMR: t.Login.AMR, SessionID: t.Login.SessionID,
	}
	guess := config.ES256
	for range 3 {
		claims.AccessHash = accessHash(guess, accessToken)
		signed, err := s.Sign(oauth.TypeIDToken, claims)
		if err != nil {
			return "", err
		}
		algorithm, err := algorithmOf(signed)
		if err != nil {
			return "", err
		}
		if accessHash(algorithm, accessToken) == claims.AccessHash {
			return signed, nil
		}
		guess = algorithm
	}
	return "", errors.New("tokens: the signing algorithm changes with every signature")
}

// accessHash is the left half of the access token's hash (OpenID Connect Core, 3.1.3.6). Ed25519 goes with SHA-512, the
// others that we sign with go with SHA-256.
func accessHash(algorithm, accessToken string) string {
	if algorithm == config.EdDSA {
		sum := sha512.Sum512([]byte(accessToken))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// algorithmOf reads the header of a JWT that we have just signed.
func algorithmOf(signed string) (string, error) {
	encoded, _, _ := strings.Cut(signed, ".")
	text, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", errors.New("tokens: what was signed has no readable header")
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err := json.Unmarshal(text, &header); err != nil || header.Algorithm == "" {
		return "", errors.New("tokens: what was signed names no algorithm")
	}
	return header.Algorithm, nil
}
