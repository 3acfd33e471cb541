package tokens

import (
	"bufio"
	"encoding/hex"
	"math/big"
	"os"
	"strings"
	"testing"
)

// vectors reads the golden references that every implementation of the wire shares.
func vectors(t testing.TB) map[[secretBytes]byte]string {
	t.Helper()
	file, err := os.Open("testdata/references.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	found := make(map[[secretBytes]byte]string)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		digits, reference, ok := strings.Cut(lines.Text(), " ")
		secret, err := hex.DecodeString(digits)
		if !ok || err != nil || len(secret) != secretBytes {
			t.Fatalf("not a vector: %q", lines.Text())
		}
		found[[secretBytes]byte(secret)] = reference
	}
	if len(found) == 0 {
		t.Fatal("no vectors")
	}
	return found
}

func TestReferencesAreGolden(t *testing.T) {
	for secret, reference := range vectors(t) {
		kind := Kind(reference[:prefixLen])
		if got := encode(kind, secret); got != reference {
			t.Errorf("encode(%s, %x) = %s, want %s", kind, secret, got, reference)
		}
		if got, err := ParseReference(reference); err != nil || got != kind {
			t.Errorf("ParseReference(%s) = %s, %v", reference, got, err)
		}
	}
}

func TestNewReferencesParseAndDiffer(t *testing.T) {
	for _, kind := range []Kind{Access, Refresh} {
		one, other := NewReference(kind), NewReference(kind)
		if one == other {
			t.Error("two fresh references are the same")
		}
		if got, err := ParseReference(one); err != nil || got != kind || len(one) != 54 {
			t.Errorf("ParseReference(NewReference(%s)) = %s, %v, %d characters", kind, got, err, len(one))
		}
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	good := "pgat_DzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd"
	withChecksum := func(body string) string { return body + checksum(body) }
	for name, reference := range map[string]string{
		"nothing":                "",
		"one digit short":        good[:len(good)-1],
		"one digit more":         good + "0",
		"a space before":         " " + good[:len(good)-1],
		"a digit altered":        "pgat_EzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd",
		"a checksum altered":     good[:len(good)-1] + "e",
		"another kind":           withChecksum("pgxx_" + good[5:48]),
		"the other kind's":       "pgrt_" + good[5:],
		"the prefix in capitals": withChecksum("PGAT_" + good[5:48]),
		"a sign as a digit":      withChecksum("pgat_-" + good[6:48]),
		"a plus as a digit":      withChecksum("pgat_+" + good[6:48]),
		"an underscore":          withChecksum("pgat_0_" + good[7:48]),
		"more than 256 bits":     withChecksum("pgat_" + strings.Repeat("Z", secretDigits)),
		"2^256":                  withChecksum("pgat_YHJSKWDa6oz1al1yMhwzwM8llg7hJNUca2J5RoW8xP2"),
		"bytes above ASCII":      withChecksum("pgat_\xc3\xa9" + good[7:48]),
	} {
		t.Run(name, func(t *testing.T) {
			if kind, err := ParseReference(reference); err != ErrReference || kind != "" {
				t.Errorf("ParseReference = %q, %v; want ErrReference", kind, err)
			}
		})
	}
}

// FuzzParseReference: what is accepted is canonical, so that one reference has one hash.
func FuzzParseReference(f *testing.F) {
	for _, reference := range vectors(f) {
		f.Add(reference)
	}
	f.Add("pgat_" + strings.Repeat("Z", secretDigits+checkDigits))
	f.Add("Bearer pgat_")
	f.Fuzz(func(t *testing.T, s string) {
		canonical(t, s)
		if len(s) >= prefixLen+secretDigits { // a checksum that fits, so that what lies behind it is reached
			body := s[:prefixLen+secretDigits]
			canonical(t, body+checksum(body))
			canonical(t, string(Access)+body[prefixLen:]+checksum(string(Access)+body[prefixLen:]))
		}
	})
}

func canonical(t *testing.T, s string) {
	t.Helper()
	kind, err := ParseReference(s)
	if err != nil {
		if err != ErrReference || kind != "" {
			t.Fatalf("refused with %q, %v", kind, err)
		}
		return
	}
	number, _ := new(big.Int).SetString(s[prefixLen:prefixLen+secretDigits], base)
	var secret [secretBytes]byte
	number.FillBytes(secret[:])
	if again := encode(kind, secret); again != s {
		t.Fatalf("%q is accepted, but its canonical form is %q", s, again)
	}
}

func BenchmarkParseReference(b *testing.B) {
	reference := NewReference(Access)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReference(reference); err != nil {
			b.Fatal(err)
		}
	}
}
