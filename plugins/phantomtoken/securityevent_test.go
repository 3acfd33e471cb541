package phantomtoken

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/plugins/feed"
)

// event signs a security event token, whose header the test may change.
func (i *fakeIssuer) event(header map[string]any) string {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"jti": "e.1", "iat": 1, "exp": 1})
	i.mu.Lock()
	defer i.mu.Unlock()
	token.Header["typ"], token.Header["kid"] = "secevent+jwt", i.kid
	maps.Copy(token.Header, header)
	signed, err := token.SignedString(i.key)
	if err != nil {
		i.t.Error(err)
	}
	return signed
}

// TestSecurityEvent: what is an event of the issuer's, whatever clock it was made by.
func TestSecurityEvent(t *testing.T) {
	var cfg Config
	f := newFixture(t, func(c *Config) { cfg = *c })
	keys := NewKeys(cfg)
	defer keys.Close()
	type m = map[string]any
	genuine := f.issuer.event(nil)
	for name, test := range map[string]struct {
		raw  string
		good bool
	}{
		"good":                {genuine, true},
		"another spelling":    {f.issuer.event(m{"typ": "application/SecEvent+JWT"}), true},
		"a phantom token":     {f.issuer.mint(), false},
		"typ JWT":             {f.issuer.event(m{"typ": "JWT"}), false},
		"a logout token":      {f.issuer.event(m{"typ": "logout+jwt"}), false},
		"critical extensions": {f.issuer.event(m{"crit": []string{"x"}}), false},
		"an unknown key":      {f.issuer.event(m{"kid": "2"}), false},
		"alg none":            {f.issuer.event(m{"alg": "none"}), false},
		"no signature":        {genuine[:strings.LastIndexByte(genuine, '.')+1], false},
		"another signature":   {genuine[:len(genuine)-10] + "AAAAAAAAAA", false},
		"garbage":             {"a.b.c", false},
		"nothing":             {"", false},
	} {
		claims, err := keys.SecurityEvent(t.Context(), test.raw)
		if (err == nil) != test.good || errors.Is(err, feed.ErrUndecided) || test.good && !json.Valid(claims) {
			t.Errorf("%s: %s, %v", name, claims, err)
		}
	}
}

// TestSecurityEventWithoutKeys: that the keys cannot be had says nothing about an event.
func TestSecurityEventWithoutKeys(t *testing.T) {
	var cfg Config
	f := newFixture(t, func(c *Config) { cfg = *c })
	f.issuer.keys = func() *http.Response { return respond(503, "", "") }
	keys := NewKeys(cfg)
	defer keys.Close()
	if _, err := keys.SecurityEvent(t.Context(), f.issuer.event(nil)); !errors.Is(err, feed.ErrUndecided) {
		t.Errorf("got %v", err)
	}
	f.issuer.keys = nil
	if _, err := keys.SecurityEvent(t.Context(), f.issuer.event(nil)); err != nil {
		t.Errorf("once they are there: %v", err)
	}
}
