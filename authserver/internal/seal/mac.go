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

// macState is what one computation needs. It is used again: the hash keeps what it computed of the key.
type macState struct {
	hash      hash.Hash
	text, sum []byte
}

// NewMAC makes a MAC for one purpose from a secret of at least 128 random bits (HKDF-SHA-256, RFC 5869).
func NewMAC(secret []byte, purpose string) (MAC, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "phantomgate mac "+purpose, KeySize)
	if err != nil {
		return MAC{}, fmt.Errorf("seal: %w", err)
	}
	return MAC{&sync.Pool{New: func() any { return &macState{hash: hmac.New(sha256.New, key)} }}}, nil
}

// Sum gives the MAC of the parts. They are told apart: ("ab", "c") and ("a", "bc") differ. It allocates nothing.
func (m MAC) Sum(parts ...string) (sum [sha256.Size]byte) {
	s := m.pool.Get().(*macState)
	s.hash.Reset()
	s.text = s.text[:0]
	for _, part := range parts {
		s.text = append(binary.AppendUvarint(s.text, uint64(len(part))), part...)
	}
	s.hash.Write(s.text)
	s.sum = s.hash.Sum(s.sum[:0])
	copy(sum[:], s.sum)
	m.pool.Put(s)
	return sum
}
