package seal_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
)

func key(t *testing.T, fill byte) seal.Key {
	t.Helper()
	k, err := seal.NewKey(bytes.Repeat([]byte{fill}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOnlyTheSameKeyPurposeAndIDOpen(t *testing.T) {
	k, plain := key(t, 1), []byte("what a token stands for")
	sealed := k.Seal("purpose", "id", plain)
	if got, err := k.Open("purpose", "id", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("%q, %v", got, err)
	}
	if len(sealed) != len(plain)+28 {
		t.Errorf("sealed is %d bytes longer, and says 28", len(sealed)-len(plain))
	}
	if bytes.Equal(sealed, k.Seal("purpose", "id", plain)) {
		t.Error("the same value is sealed the same way twice: the nonce is not random")
	}
	for name, open := range map[string]func() ([]byte, error){
		"another key":                       func() ([]byte, error) { return key(t, 2).Open("purpose", "id", sealed) },
		"another purpose":                   func() ([]byte, error) { return k.Open("purposf", "id", sealed) },
		"another id":                        func() ([]byte, error) { return k.Open("purpose", "ie", sealed) },
		"purpose and id, cut in two places": func() ([]byte, error) { return k.Open("purposei", "d", sealed) },
		"nothing":                           func() ([]byte, error) { return k.Open("purpose", "id", nil) },
		"cut short":                         func() ([]byte, error) { return k.Open("purpose", "id", sealed[:len(sealed)-1]) },
	} {
		if got, err := open(); !errors.Is(err, seal.ErrOpen) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for i := range len(sealed) * 8 {
		altered := slices.Clone(sealed)
		altered[i/8] ^= 1 << (i % 8)
		if _, err := k.Open("purpose", "id", altered); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("bit %d turned: %v", i, err)
		}
	}
}

func TestAWrappedKeyBelongsToItsID(t *testing.T) {
	data := key(t, 1)
	grant, wrapped, err := data.NewWrapped("grant-1")
	if err != nil {
		t.Fatal(err)
	}
	sealed := grant.Seal("value", "1", []byte("x"))
	again, err := data.Unwrap("grant-1", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("value", "1", sealed); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	for name, unwrap := range map[string]func() (seal.Key, error){
		"another grant's": func() (seal.Key, error) { return data.Unwrap("grant-2", wrapped) },
		"destroyed":       func() (seal.Key, error) { return data.Unwrap("grant-1", nil) },
		"another data key": func() (seal.Key, error) {
			return key(t, 2).Unwrap("grant-1", wrapped)
		},
	} {
		if _, err := unwrap(); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDerivedKeysDifferByPurpose(t *testing.T) {
	one, err := seal.DeriveKey([]byte("a reference of 256 random bits"), "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := seal.DeriveKey([]byte("a reference of 256 random bits"), "two")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Open("p", "i", one.Seal("p", "i", []byte("x"))); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("a key for one purpose opens what was sealed for another: %v", err)
	}
}

func TestAKeyHasOneSize(t *testing.T) {
	for _, size := range []int{0, 16, 31, 33, 64} {
		if _, err := seal.NewKey(make([]byte, size)); err == nil {
			t.Errorf("a key of %d bytes was taken", size)
		}
	}
}

func TestMACsTellPartsApart(t *testing.T) {
	secret := bytes.Repeat([]byte{1}, seal.KeySize)
	one, err := seal.NewMAC(secret, "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := seal.NewMAC(secret, "two")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[32]byte]bool{}
	for _, m := range []seal.MAC{one, two} {
		for _, parts := range [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {}, {string(bytes.Repeat([]byte("x"), 1000))}} {
			name := m.Sum(parts...)
			if again := m.Sum(parts...); again != name {
				t.Errorf("%q: %x, then %x", parts, name, again)
			}
			if seen[name] {
				t.Errorf("%q: the name of something else", parts)
			}
			seen[name] = true
		}
	}
}
