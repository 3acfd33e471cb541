package config

import (
	"crypto/sha256"
	"log/slog"
)

// dots is what a secret prints as.
const dots = "••••"

// Sources of a secret or a password, as they are written in the file.
const (
	fromFile   = "file"
	fromEnv    = "env"
	fromDemo   = "demo"
	fromSHA256 = "sha256"
	fromBcrypt = "bcrypt"
)

// Secret is a secret by reference: exactly one of `file`, `env`, `demo` is set in the file (a client's secret may also be
// given as `sha256`, its hash in hex, and the data key's `file` may carry `create: true`). Once loaded it holds the
// value; it prints as dots. The zero Secret is not set.
type Secret struct {
	// A pointer, so that even %+v on a struct that keeps a Secret in an unexported field shows an address.
	kept *keptSecret
}

type keptSecret struct {
	source string
	value  string
	hash   [sha256.Size]byte
	file   string // where a `file` secret lies
	create bool   // `create: true` was given
}

// NewSecret makes a Secret of a value, for programs and tests that build a Config without a file.
func NewSecret(value string) Secret {
	return Secret{&keptSecret{value: value, hash: sha256.Sum256([]byte(value))}}
}

// IsSet tells whether the file names the secret.
func (s Secret) IsSet() bool { return s.kept != nil }

// Value gives the secret, or "" when it is not set, when only its hash is known, or when its file is yet to be created.
func (s Secret) Value() string {
	if s.kept == nil {
		return ""
	}
	return s.kept.value
}

// Hash gives the secret's SHA-256. Nothing hashes to that of a Secret that is not set: ask IsSet first.
func (s Secret) Hash() [sha256.Size]byte {
	if s.kept == nil {
		return [sha256.Size]byte{}
	}
	return s.kept.hash
}

func (s Secret) source() string {
	if s.kept == nil {
		return ""
	}
	return s.kept.source
}

// String hides the secret.
func (s Secret) String() string { return dots }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return dots }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(dots), nil }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(dots) }

// createdLater tells whether the secret's file was not there when the configuration was read, but may be made.
func (k *keptSecret) createdLater() bool { return k.create && k.value == "" }
