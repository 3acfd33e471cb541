package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// MAC gives things names that say nothing to whoever has not the key (HMAC-SHA-256). It is safe for concurrent use. The zero
// MAC is not usable.
type MAC struct{ pool *sync.Pool }

// NewMAC makes a MAC for one purpose from a secret of at least 128 random bits (HKDF-SHA-256, RFC 5869).
func NewMAC(secret []byte, purpose string) (MAC, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "phantomgate mac "+purpose, KeySize)
	if err != nil {
		return MAC{}, fmt.Errorf("seal: %w", err)
	}
	// A hash that is used again keeps what it computed of the key.
	return MAC{&sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}, nil
}

// Append appends the MAC of the parts, 32 bytes, to b. The parts are told apart: ("ab", "c") and ("a", "bc") differ.
func (m MAC) Append(b []byte, parts ...string) []byte {
	h := m.pool.Get().(hash.Hash)
	h.Reset()
	var text [256]byte
	message := text[:0]
	for _, part := range parts {
		message = append(binary.AppendUvarint(message, uint64(len(part))), part...)
	}
	h.Write(message)
	b = h.Sum(b)
	m.pool.Put(h)
	return b
}
