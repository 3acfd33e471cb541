package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"math/big"
	"strings"
)

// Kind says what a reference stands for. It is the reference's prefix.
type Kind string

// The kinds of references.
const (
	Access  Kind = "pgat_"
	Refresh Kind = "pgrt_"
)

// A reference is a kind, 43 digits of 256 random bits, and 6 digits of CRC-32 over all before.
const (
	prefixLen    = len(Access)
	secretBytes  = 32
	secretDigits = 43
	checkDigits  = 6
	referenceLen = prefixLen + secretDigits + checkDigits
	base         = 62
)

// ErrReference says that a string is not a reference in its one canonical form. It does not repeat the string.
var ErrReference = errors.New("tokens: not a reference")

// NewReference makes a fresh reference of 256 random bits. Nothing is stored: keep its Hash, hand out the reference.
func NewReference(kind Kind) string {
	var secret [secretBytes]byte
	_, _ = rand.Read(secret[:]) // never fails: it ends the program instead
	return encode(kind, secret)
}

// ParseReference checks shape, alphabet, range and checksum, and tells the kind. It does not tell whether the reference
// was ever handed out.
func ParseReference(s string) (Kind, error) {
	if len(s) != referenceLen {
		return "", ErrReference
	}
	kind := Kind(s[:prefixLen])
	if kind != Access && kind != Refresh {
		return "", ErrReference
	}
	body := s[:prefixLen+secretDigits]
	if checksum(body) != s[len(body):] {
		return "", ErrReference
	}
	digits := body[prefixLen:]
	for i := range len(digits) { // big.Int would also read a sign
		if !isDigit(digits[i]) {
			return "", ErrReference
		}
	}
	number, ok := new(big.Int).SetString(digits, base)
	if !ok || number.BitLen() > 8*secretBytes { // 43 digits hold a little more than 256 bits
		return "", ErrReference
	}
	return kind, nil
}

// Hash is what the database keeps of a reference: the SHA-256 of all of it. A reference has 256 random bits, so a slow
// hash would add nothing.
func Hash(reference string) []byte {
	sum := sha256.Sum256([]byte(reference))
	return sum[:]
}

func encode(kind Kind, secret [secretBytes]byte) string {
	body := string(kind) + pad(new(big.Int).SetBytes(secret[:]).Text(base), secretDigits)
	return body + checksum(body)
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	return pad(new(big.Int).SetUint64(uint64(sum)).Text(base), checkDigits)
}

func pad(digits string, length int) string {
	return strings.Repeat("0", length-len(digits)) + digits
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
