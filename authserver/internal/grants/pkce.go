package grants

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// A verifier has 43 to 128 of these characters (RFC 7636, 4.1).
const (
	minVerifier       = 43
	maxVerifier       = 128
	verifierAlphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	challengeAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// ValidChallenge tells whether s can be a challenge of the method S256: the base64url of a SHA-256 (RFC 7636, 4.2).
func ValidChallenge(s string) bool {
	return len(s) == base64.RawURLEncoding.EncodedLen(sha256.Size) && strings.Trim(s, challengeAlphabet) == ""
}

// verifies tells whether the verifier is well-formed and hashes to the challenge (RFC 7636, 4.6, S256).
func verifies(verifier, challenge string) bool {
	if len(verifier) < minVerifier || len(verifier) > maxVerifier || strings.Trim(verifier, verifierAlphabet) != "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	hashed := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(hashed), []byte(challenge)) == 1
}
