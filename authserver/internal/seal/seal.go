// Package seal encrypts what the database keeps and what a browser carries for us, so that neither yields it.
//
// There is one data key, kept outside the database. Every grant has a key of its own, wrapped by the data key: to destroy
// the wrapped key is to destroy every value that was sealed under it. All of it is AES-256-GCM with random nonces; purpose
// and id are bound as additional data, so that one sealed thing cannot stand in for another.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
)

// KeySize is the size of every key, in bytes.
const KeySize = 32

// ErrOpen says that a sealed value was altered, was sealed for another purpose or id, or under another key.
var ErrOpen = errors.New("seal: cannot open: altered, of another purpose, or sealed under another key")

// Key seals and opens. It is safe for concurrent use. The zero Key is not usable.
type Key struct{ aead cipher.AEAD }

// NewKey makes a Key of exactly KeySize random bytes.
func NewKey(secret []byte) (Key, error) {
	if len(secret) != KeySize {
		return Key{}, fmt.Errorf("seal: a key has %d bytes, not %d", KeySize, len(secret))
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return Key{}, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, fmt.Errorf("seal: %w", err)
	}
	return Key{aead}, nil
}

// DeriveKey makes a Key from a secret of at least 128 random bits, for one purpose (HKDF-SHA-256, RFC 5869). It is how an
// answer is sealed under the reference that earned it.
func DeriveKey(secret []byte, purpose string) (Key, error) {
	derived, err := hkdf.Key(sha256.New, secret, nil, "phantomgate "+purpose, KeySize)
	if err != nil {
		return Key{}, fmt.Errorf("seal: %w", err)
	}
	return NewKey(derived)
}

// Seal encrypts plain for one purpose and one id. The result is 28 bytes longer than plain.
func (k Key) Seal(purpose, id string, plain []byte) []byte {
	return k.aead.Seal(nil, nil, plain, bound(purpose, id))
}

// Open decrypts what Seal made for the same purpose and id, or fails with ErrOpen.
func (k Key) Open(purpose, id string, sealed []byte) ([]byte, error) {
	plain, err := k.aead.Open(nil, nil, sealed, bound(purpose, id))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// NewWrapped makes a fresh random key for id, and that key wrapped by k. Only the wrapped form is to be stored.
func (k Key) NewWrapped(id string) (Key, []byte, error) {
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails: it ends the program instead
	fresh, err := NewKey(secret)
	if err != nil {
		return Key{}, nil, err
	}
	return fresh, k.Seal("wrapped-key", id, secret), nil
}

// Unwrap gives back the key that NewWrapped made for id. An empty wrapped key was destroyed: ErrOpen.
func (k Key) Unwrap(id string, wrapped []byte) (Key, error) {
	secret, err := k.Open("wrapped-key", id, wrapped)
	if err != nil {
		return Key{}, err
	}
	return NewKey(secret)
}

// bound is unambiguous: the purpose's length stands before it.
func bound(purpose, id string) []byte {
	return []byte(strconv.Itoa(len(purpose)) + ":" + purpose + id)
}
