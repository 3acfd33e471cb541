package config

import (
	"errors"
	"log/slog"

	"golang.org/x/crypto/bcrypt"
)

// MaxPassword is the longest password in bytes: bcrypt looks at no more, so a longer one is refused rather than cut.
const MaxPassword = 72

// bcrypt costs that a hash in the file may have. Below, a stolen file is guessed too fast; above, one login keeps a core
// busy for many seconds.
const (
	minCost = 10
	maxCost = 14
)

// HashCost is the cost of the hashes that HashPassword makes.
const HashCost = 12

// Password is a user's password, kept as a bcrypt hash: `bcrypt` (the hash), `file` (holds the hash) or `demo` (the
// password itself). It prints as dots. The zero Password matches nothing.
type Password struct {
	kept *keptPassword // a pointer for the same reason as in Secret
}

type keptPassword struct {
	source string
	hash   []byte
}

// NewPassword makes a Password of a bcrypt hash of any cost, for programs and tests that build a Config without a file.
func NewPassword(hash []byte) (Password, error) {
	if _, err := bcrypt.Cost(hash); err != nil {
		return Password{}, errors.New("config: not a bcrypt hash")
	}
	return Password{&keptPassword{hash: hash}}, nil
}

// HashPassword makes the hash that the file wants. It refuses an empty password and more than MaxPassword bytes.
func HashPassword(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	if len(password) > MaxPassword {
		return "", errors.New("the password has more than 72 bytes, which bcrypt cannot tell apart; choose a shorter one")
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), HashCost)
	return string(hash), err
}

// IsSet tells whether the file gives the user a password.
func (p Password) IsSet() bool { return p.kept != nil }

// Matches tells whether it is the password. It takes as long as the hash's cost says, whatever the answer, but for an
// empty or too long password, which is refused at once.
func (p Password) Matches(password string) bool {
	if p.kept == nil || password == "" || len(password) > MaxPassword {
		return false
	}
	return bcrypt.CompareHashAndPassword(p.kept.hash, []byte(password)) == nil
}

// Cost gives the hash's bcrypt cost, or 0 when there is no password.
func (p Password) Cost() int {
	if p.kept == nil {
		return 0
	}
	cost, err := bcrypt.Cost(p.kept.hash)
	if err != nil {
		return 0
	}
	return cost
}

func (p Password) source() string {
	if p.kept == nil {
		return ""
	}
	return p.kept.source
}

// String hides the hash.
func (p Password) String() string { return dots }

// GoString hides the hash from %#v.
func (p Password) GoString() string { return dots }

// MarshalText hides the hash from encoders.
func (p Password) MarshalText() ([]byte, error) { return []byte(dots), nil }

// LogValue hides the hash from slog.
func (p Password) LogValue() slog.Value { return slog.StringValue(dots) }
