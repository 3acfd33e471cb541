package phantomtoken

import (
	"hash/crc32"
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
