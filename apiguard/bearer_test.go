package apiguard

import (
	"errors"
	"regexp"
	"testing"
)

// FuzzBearerToken compares the parser with the grammar written as an expression (RFC 9110 section 11.4, RFC 6750 section
// 2.1).
func FuzzBearerToken(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer a.b.c", "bEARER  a==", "Bearer a b", "Bearer\ta", " Bearer a", "Basic YTpi", "Bearer =", "Bearer a,Bearer b", "Bearer \x00"} {
		f.Add(seed)
	}
	grammar := regexp.MustCompile(`\A(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)\z`)
	f.Fuzz(func(t *testing.T, header string) {
		token, err := bearerToken([]string{header})
		match := grammar.FindStringSubmatch(header)
		switch {
		case len(header) > maxTokenBytes:
		case match == nil && err == nil:
			t.Errorf("%q was read as %q", header, token)
		case match != nil && (err != nil || token != match[1]):
			t.Errorf("%q: got %q, %v", header, token, err)
		}
		if _, err := bearerToken([]string{header, header}); !errors.Is(err, errSeveralHeaders) {
			t.Errorf("two headers: %v", err)
		}
	})
}
