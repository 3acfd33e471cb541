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

// alphabet has the digits in order, as math/big writes them.
const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

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
	if !isSecret(body[prefixLen:]) {
		return "", ErrReference
	}
	return kind, nil
}

// highest is 2^256-1: as many digits hold a little more than that.
const highest = "YHJSKWDa6oz1al1yMhwzwM8llg7hJNUca2J5RoW8xP1"

// isSecret tells whether all of s are digits, and their number is not above highest.
func isSecret(s string) bool {
	compared := 0 // to highest, so far
	for i := range len(s) {
		digit := strings.IndexByte(alphabet, s[i])
		if digit < 0 {
			return false
		}
		if compared == 0 {
			compared = digit - strings.IndexByte(alphabet, highest[i])
		}
	}
	return compared <= 0
}

// Hash is what the database keeps of a reference: the SHA-256 of all of it. A reference has 256 random bits, so a slow
// hash would add nothing.
func Hash(reference string) []byte {
	sum := sha256.Sum256([]byte(reference))
	return sum[:]
}

func encode(kind Kind, secret [secretBytes]byte) string {
	digits := new(big.Int).SetBytes(secret[:]).Text(base)
	body := string(kind) + strings.Repeat("0", secretDigits-len(digits)) + digits
	return body + checksum(body)
}

func checksum(body string) string {
	sum := crc32.ChecksumIEEE([]byte(body))
	var digits [checkDigits]byte
	for i := range digits {
		digits[checkDigits-1-i] = alphabet[sum%base]
		sum /= base
	}
	return string(digits[:])
}
