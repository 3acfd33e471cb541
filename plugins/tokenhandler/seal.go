package tokenhandler

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// sealer seals and opens what cookies hold: AES-256-GCM with random nonces. The cookie's name, the tenant and the key's
// id are bound as additional data, so what was sealed for one place opens nowhere else.
//
// Random nonces allow 2^32 seals under one key (NIST SP 800-38D, 8.3); a login makes five, a refresh two.
type sealer struct {
	keys []sealingKey // the first one seals
}

type sealingKey struct {
	tag  [keyTagSize]byte
	aead cipher.AEAD
	aad  [purposes][]byte
}

// A sealed value is a version, the key's tag, and what GCM makes of nonce and text; all of it in base64url.
const (
	sealVersion = 1
	keyTagSize  = 4
	sealPrefix  = 1 + keyTagSize
)

// sealEncoding is strict: without that, the last character's unused bits could be flipped unseen.
var sealEncoding = base64.RawURLEncoding.Strict()

func newSealer(keys []Key, tenant string, names names) (*sealer, error) {
	s := &sealer{}
	for _, key := range keys {
		block, err := aes.NewCipher(key.Secret)
		if err != nil {
			return nil, fmt.Errorf("cookie key %q: %w", key.ID, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("cookie key %q: %w", key.ID, err)
		}
		k := sealingKey{tag: keyTag(key.ID), aead: aead}
		for p := range purposes {
			k.aad[p] = additionalData(names.full[p][0], tenant, key.ID)
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// keyTag is how a sealed value names its key. It only saves trying all keys: the key's whole id is in the additional
// data.
func keyTag(id string) (tag [keyTagSize]byte) {
	sum := sha256.Sum256([]byte(id))
	copy(tag[:], sum[:])
	return tag
}

// additionalData joins parts so that no two lists of parts read alike.
func additionalData(parts ...string) (joined []byte) {
	for _, p := range parts {
		joined = binary.BigEndian.AppendUint32(joined, uint32(len(p)))
		joined = append(joined, p...)
	}
	return joined
}

func (s *sealer) seal(p purpose, text []byte) string {
	k := s.keys[0]
	sealed := append([]byte{sealVersion}, k.tag[:]...)
	sealed = k.aead.Seal(sealed, nil, text, k.aad[p])
	return sealEncoding.EncodeToString(sealed)
}

// open returns what was sealed for p, or nil: why it does not open is nobody's business. Whatever the value is, it is
// opened once, in vain if need be: what is wrong with it must not be told by the time that takes.
func (s *sealer) open(p purpose, value string) []byte {
	sealed := make([]byte, max(sealPrefix, sealEncoding.DecodedLen(len(value))))
	n, err := sealEncoding.Decode(sealed, bytesOf(value))
	// The decoder skips line breaks, so a length that differs says that there were some.
	ours := err == nil && n == len(sealed) && sealed[0] == sealVersion
	tag := [keyTagSize]byte(sealed[1:sealPrefix])
	key, known := &s.keys[0], false
	for i := range s.keys {
		if s.keys[i].tag == tag {
			key, known = &s.keys[i], true
			break
		}
	}
	text, err := key.aead.Open(sealed[sealPrefix:sealPrefix], nil, sealed[sealPrefix:], key.aad[p])
	if err != nil || !ours || !known {
		return nil
	}
	return text
}
