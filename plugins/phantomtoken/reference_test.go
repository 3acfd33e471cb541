package phantomtoken

import (
	"bufio"
	"bytes"
	_ "embed"
	"hash/crc32"
	"math/big"
	"net/http"
	"strings"
	"testing"
)

// The golden vectors that issuer and gateway share: 32 bytes in hex, and the reference they make.
//
//go:embed testdata/references.txt
var goldenReferences []byte

func golden(t testing.TB) []string {
	var references []string
	for lines := bufio.NewScanner(bytes.NewReader(goldenReferences)); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 {
			references = append(references, fields[1])
		}
	}
	if len(references) == 0 {
		t.Fatal("no golden references")
	}
	return references
}

func TestIsReference(t *testing.T) {
	for _, reference := range golden(t) {
		if got, want := isReference(reference), strings.HasPrefix(reference, "pgat_"); got != want {
			t.Errorf("%s: %t", reference, got)
		}
		for i := range len(reference) { // every digit counts
			changed := []byte(reference)
			changed[i] ^= 1
			if isReference(string(changed)) {
				t.Errorf("%s passed", changed)
			}
		}
	}
	for _, bad := range []string{"", "pgat_", good + "0", good[1:], strings.ToUpper(good), "Bearer " + good, " " + good, strings.Replace(good, "_", "-", 1)} {
		if isReference(bad) {
			t.Errorf("%q passed", bad)
		}
	}
}

// FuzzReference compares isReference with the definition, written as the definition says it.
func FuzzReference(f *testing.F) {
	for _, reference := range golden(f) {
		f.Add(reference)
	}
	f.Add("pgat_")
	f.Add(strings.Repeat("0", referenceLength))
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := isReference(s), isReferenceByDefinition(s); got != want {
			t.Errorf("%q: %t, want %t", s, got, want)
		}
		// The same digits under a right checksum must pass, so that both answers are tried.
		if digits := onlyBase62(s); len(digits) >= 43 {
			made := "pgat_" + digits[:43]
			made += checksum(made)
			if !isReference(made) || !isReferenceByDefinition(made) {
				t.Errorf("%q is refused", made)
			}
		}
	})
}

func isReferenceByDefinition(s string) bool {
	body, ok := strings.CutPrefix(s, "pgat_")
	return ok && len(body) == 49 && onlyBase62(body) == body && checksum(s[:48]) == s[48:]
}

func checksum(body string) string {
	digits := new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(body)))).Text(62)
	return strings.Repeat("0", 6-len(digits)) + digits
}

func onlyBase62(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune(base62, r) {
			return r
		}
		return -1
	}, s)
}

func TestBearer(t *testing.T) {
	tests := []struct {
		values []string
		want   string
		err    error
	}{
		{nil, "", ErrNoToken},
		{[]string{""}, "", ErrNoToken},
		{[]string{"Bearer"}, "", ErrNoToken},
		{[]string{"Bearer "}, "", ErrNoToken},
		{[]string{"Bearer    "}, "", ErrNoToken},
		{[]string{"Bearer\tx"}, "", ErrNoToken},
		{[]string{"Bearerx"}, "", ErrNoToken},
		{[]string{" Bearer x"}, "", ErrNoToken},
		{[]string{"Basic eDp5"}, "", ErrNoToken},
		{[]string{"DPoP x"}, "", ErrNoToken},
		{[]string{"\"%!2%2 x"}, "", ErrNoToken},
		{[]string{"Bearer x"}, "x", nil},
		{[]string{"bearer x"}, "x", nil},
		{[]string{"BEARER x"}, "x", nil},
		{[]string{"Bearer   x"}, "x", nil},
		{[]string{"Bearer x y"}, "x y", nil}, // which is no reference
		{[]string{"Bearer x, Bearer y"}, "x, Bearer y", nil},
		{[]string{"Bearer x", "Bearer x"}, "", ErrManyHeaders},
		{[]string{"Bearer x", "Basic eDp5"}, "", ErrManyHeaders},
	}
	for _, test := range tests {
		got, err := Bearer(http.Header{"Authorization": test.values})
		if got != test.want || err != test.err {
			t.Errorf("%q: %q, %v", test.values, got, err)
		}
	}
}

// FuzzAuthorization holds the parser to RFC 6750: what it takes for a token came after the scheme and a space.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{"", "Bearer x", "bearer  x", "BEARER", "Basic eDp5", "Bearer\x00x", "Bearer " + good} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := parseAuthorization(value)
		scheme, rest, _ := strings.Cut(value, " ")
		want := strings.TrimLeft(rest, " ")
		isBearer := len(scheme) == 6 && strings.EqualFold(scheme, "bearer") && want != ""
		if isBearer != (err == nil) || isBearer && token != want {
			t.Errorf("%q: %q, %v", value, token, err)
		}
		if err == nil && isReference(token) != isReferenceByDefinition(token) {
			t.Errorf("%q", token)
		}
	})
}
