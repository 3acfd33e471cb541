package phantomtoken

import (
	"hash/crc32"
	"strings"
)

// A reference is a prefix, 43 base62 digits of 256 random bits, and 6 base62 digits of the CRC-32 of all before.
const (
	accessPrefix    = "pgat_"
	bodyLength      = 48 // prefix and random digits
	checkLength     = 6
	referenceLength = bodyLength + checkLength
)

const base62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// isReference tells whether s can be an access reference of our issuer. It keeps garbage from costing the issuer
// anything; it is no secret, and says nothing about whether the reference was ever issued. Refresh references are for
// the issuer's token endpoint only and are none here.
func isReference(s string) bool {
	if len(s) != referenceLength || s[:len(accessPrefix)] != accessPrefix {
		return false
	}
	for i := len(accessPrefix); i < bodyLength; i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	sum := crc32.ChecksumIEEE([]byte(s[:bodyLength]))
	for i := referenceLength - 1; i >= bodyLength; i-- {
		if s[i] != base62[sum%62] {
			return false
		}
		sum /= 62
	}
	return true
}

// references tells what can be a reference of one issuer.
type references struct {
	foreign bool
	jwt     bool // of a foreign issuer: also what looks like a JWT
}

// mostForeign bounds the references of foreign issuers.
const mostForeign = 4 << 10

// fit tells whether a reference can have this length; it is quick to ask before the cache is.
func (r references) fit(length int) bool {
	if r.foreign {
		return 0 < length && length <= mostForeign
	}
	return length == referenceLength
}

// has tells whether s can be a reference. Of a foreign issuer's no more is known than RFC 6750 section 2.1 says of a
// bearer token (b64token). What looks like a JWT is none: an issuer may call a JWT active that it once gave this gateway
// for an API, and then whoever got hold of one inside could use it outside.
func (r references) has(s string) bool {
	if r.foreign {
		return r.fit(len(s)) && isB64Token(s) && (r.jwt || strings.Count(s, ".") < 2)
	}
	return isReference(s)
}

func isB64Token(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		if c := body[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return body != ""
}
