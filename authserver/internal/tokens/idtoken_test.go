package tokens

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// signer signs with the algorithms of a ring whose algorithm is being changed, one after the other, and then stays with
// the last.
type signer struct {
	algorithms []string
	signed     int
}

func (s *signer) Sign(_ string, claims jwt.Claims) (string, error) {
	algorithm := s.algorithms[min(s.signed, len(s.algorithms)-1)]
	s.signed++
	if algorithm == "EdDSA" {
		return jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, claims) // stands in for the others: only the name matters here
	unsigned.Header["alg"] = algorithm
	return unsigned.SignedString([]byte("test"))
}

// TestAccessHashIsOfTheSignaturesAlgorithm: a client that checks at_hash refuses the login when it is of another.
func TestAccessHashIsOfTheSignaturesAlgorithm(t *testing.T) {
	const access = "pgat_x"
	short, long := sha256.Sum256([]byte(access)), sha512.Sum512([]byte(access))
	sha256Hash := base64.RawURLEncoding.EncodeToString(short[:16])
	sha512Hash := base64.RawURLEncoding.EncodeToString(long[:32])
	for _, tc := range []struct {
		algorithms []string
		want       string
	}{
		{[]string{"ES256"}, sha256Hash},
		{[]string{"RS256"}, sha256Hash},
		{[]string{"EdDSA"}, sha512Hash},
		{[]string{"ES256", "EdDSA"}, sha256Hash},
		{[]string{"EdDSA", "ES256"}, sha256Hash},
		{[]string{"EdDSA", "ES256", "EdDSA", "ES256"}, ""},
	} {
		signed, err := IDToken{Issuer: "i", Subject: "s", ClientID: "c"}.Sign(&signer{algorithms: tc.algorithms}, access)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%v: signed, though the algorithm changed with every signature", tc.algorithms)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%v: %v", tc.algorithms, err)
		}
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(signed, claims); err != nil {
			t.Fatal(err)
		}
		if claims["at_hash"] != tc.want {
			t.Errorf("%v: at_hash is %v, want %s", tc.algorithms, claims["at_hash"], tc.want)
		}
	}
}
