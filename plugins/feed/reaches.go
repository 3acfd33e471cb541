package feed

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Reaches are the keys of all that can end one token (its user, its client, ...), each with the generation that the token
// was read under, packed for a cache: 8 bytes of the key, and the generation as a varint. 64 of a key's 128 bits are kept.
// Two keys that share them end each other's tokens, which costs a question and keeps nothing alive.
type Reaches []byte

// next takes the first one off, if there is one.
func (r Reaches) next() (key, generation uint64, rest Reaches, ok bool) {
	if len(r) <= 8 {
		return 0, 0, nil, false
	}
	generation, n := binary.Uvarint(r[8:])
	if n <= 0 {
		return 0, 0, nil, false
	}
	return binary.LittleEndian.Uint64(r), generation, r[8+n:], true
}

const (
	// A key on the wire: 16 bytes in base64url.
	keyBytes, keyLength = 16, 22
	// mostReaches bounds what can end one token, and what a cached answer keeps of it.
	mostReaches = 64
	// mostHeader bounds the header that names them, in bytes.
	mostHeader = 4 << 10
	// mostEpoch is the longest name of an epoch.
	mostEpoch = 64
)

// ParseKeys reads the values of the header Revocation-Keys: key=generation, separated by commas. Whatever is not
// exactly that is an error: what cannot be followed must not be cached.
func ParseKeys(values []string) (Reaches, error) {
	text := strings.Join(values, ",")
	if len(text) > mostHeader {
		return nil, fmt.Errorf("Revocation-Keys is longer than %d bytes", mostHeader)
	}
	var reaches Reaches
	n := 0
	for item := range strings.SplitSeq(text, ",") {
		name, number, _ := strings.Cut(strings.Trim(item, " \t"), "=")
		key, err := parseKey(name)
		if err != nil {
			return nil, fmt.Errorf("Revocation-Keys: %w", err)
		}
		generation, err := parseNumber(number)
		if err != nil {
			return nil, fmt.Errorf("Revocation-Keys: a generation is %w", err)
		}
		reaches = binary.LittleEndian.AppendUint64(reaches, key)
		reaches = binary.AppendUvarint(reaches, generation)
		if n++; n > mostReaches {
			return nil, fmt.Errorf("Revocation-Keys has more than %d keys", mostReaches)
		}
	}
	return reaches, nil
}

// ParsePosition reads the values of the header Revocation-Position, of which there is one: epoch.sequence.
func ParsePosition(values []string) (epoch string, sequence uint64, err error) {
	if len(values) != 1 {
		return "", 0, fmt.Errorf("there are %d headers Revocation-Position, not one", len(values))
	}
	epoch, sequence, ok := cutID(values[0])
	if !ok {
		return "", 0, errors.New("Revocation-Position is not epoch.sequence")
	}
	return epoch, sequence, nil
}

// cutID takes apart epoch.sequence, which is a position, and an event's id.
func cutID(id string) (epoch string, sequence uint64, ok bool) {
	epoch, number, found := strings.Cut(id, ".")
	sequence, err := parseNumber(number)
	return epoch, sequence, found && err == nil && isEpoch(epoch)
}

// isEpoch tells whether s can name an epoch: letters, digits, "-" and "_".
func isEpoch(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= mostEpoch
}

// parseKey returns the first 64 bits of an opaque key.
func parseKey(name string) (uint64, error) {
	if len(name) == keyLength {
		if b, err := base64.RawURLEncoding.Strict().DecodeString(name); err == nil && len(b) == keyBytes {
			return binary.LittleEndian.Uint64(b), nil
		}
	}
	return 0, fmt.Errorf("a key is not %d characters of base64url", keyLength)
}

// parseNumber reads a number as the issuer writes it: digits only, and no zero before others, so that no two spellings
// are the same.
func parseNumber(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63) // what the issuer counts in
	if err != nil || len(s) > 1 && s[0] == '0' {
		return 0, errors.New("not a number")
	}
	return n, nil
}
