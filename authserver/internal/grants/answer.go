package grants

import (
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
)

// Answer is a successful answer of the token endpoint (RFC 6749, 5.1; RFC 8693, 2.2.1; OpenID Connect Core, 3.1.3.3). It holds secrets:
// it prints as its type only.
type Answer struct {
	AccessToken  string `json:"access_token"`
	IssuedType   string `json:"issued_token_type,omitempty"` // of an exchange
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token,omitempty"`
}

// LogValue keeps the references out of every log.
func (a Answer) LogValue() slog.Value { return slog.StringValue("token answer") }

// Format keeps the references out of every formatted text, whatever the verb.
func (a Answer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("token answer")) }

// purposeAnswer binds a kept answer to what it is kept for.
const purposeAnswer = "refresh-answer"

// sealAnswer seals an answer under the reference that earned it: the database, which has only the reference's hash,
// cannot open it, and whoever presents the reference can.
func sealAnswer(reference string, hash []byte, a Answer) ([]byte, error) {
	key, err := seal.DeriveKey([]byte(reference), purposeAnswer)
	if err != nil {
		return nil, err
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("grants: %w", err)
	}
	return key.Seal(purposeAnswer, string(hash), plain), nil
}

// openAnswer opens what sealAnswer made for the same reference.
func openAnswer(reference string, hash, sealed []byte) (Answer, error) {
	key, err := seal.DeriveKey([]byte(reference), purposeAnswer)
	if err != nil {
		return Answer{}, err
	}
	plain, err := key.Open(purposeAnswer, string(hash), sealed)
	if err != nil {
		return Answer{}, fmt.Errorf("grants: the kept answer: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(plain, &a); err != nil {
		return Answer{}, fmt.Errorf("grants: the kept answer is not what was sealed: %w", err)
	}
	return a, nil
}
