package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

func TestValuesOpenOnlyWhereTheyBelong(t *testing.T) {
	dataKey, err := seal.NewKey(bytes.Repeat([]byte{1}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	key, wrapped, err := dataKey.NewWrapped("grant")
	if err != nil {
		t.Fatal(err)
	}
	value := Value{AuthTime: 1, ACR: "password", AMR: []string{"pwd"}, SessionID: "s", Claims: map[string]json.RawMessage{"region": []byte(`"eu"`)}}
	sealed := SealAccess(key, "jti", value)
	row := func(jti, grant string, wrapped, sealed []byte) storage.LiveAccess {
		return storage.LiveAccess{AccessToken: storage.AccessToken{JTI: jti, Value: sealed}, Grant: storage.Grant{ID: grant, WrappedKey: wrapped}}
	}
	if got, err := OpenAccess(dataKey, row("jti", "grant", wrapped, sealed)); err != nil || !reflect.DeepEqual(got, value) {
		t.Errorf("OpenAccess = %+v, %v", got, err)
	}
	other, _, err := dataKey.NewWrapped("other")
	if err != nil {
		t.Fatal(err)
	}
	foreign := SealAccess(other, "jti", value)
	refresh := SealRefresh(key, []byte("jti"), value)
	for name, bad := range map[string]storage.LiveAccess{
		"another token's value":      row("other", "grant", wrapped, sealed),
		"another grant's key":        row("jti", "other", wrapped, sealed),
		"a value under another key":  row("jti", "grant", wrapped, foreign),
		"a refresh token's value":    row("jti", "grant", wrapped, refresh),
		"a key that was destroyed":   row("jti", "grant", nil, sealed),
		"a value that was cut short": row("jti", "grant", wrapped, sealed[:20]),
		"a value that is not there":  row("jti", "grant", wrapped, nil),
	} {
		if got, err := OpenAccess(dataKey, bad); !errors.Is(err, seal.ErrOpen) || !reflect.DeepEqual(got, Value{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestValuesAreReadAsTheyWereWritten(t *testing.T) {
	for name, value := range map[string]Value{
		"empty":             {},
		"a login":           {AuthTime: 1767323045, ACR: "password", AMR: []string{"pwd", "otp"}, SessionID: "s_1"},
		"before 1970":       {AuthTime: -1},
		"claims":            {Claims: map[string]json.RawMessage{"a": []byte(`{"b":[1,"ü"]}`), "region": []byte(`"eu"`), "": []byte("null")}},
		"longer than a kB":  {Claims: map[string]json.RawMessage{"a": bytes.Repeat([]byte("1"), 70_000)}},
		"a claim and login": {ACR: "x", Claims: map[string]json.RawMessage{"n": []byte("12345678901234567")}},
	} {
		t.Run(name, func(t *testing.T) {
			written := value.encode()
			if got, err := decodeValue(written); err != nil || !reflect.DeepEqual(got, value) {
				t.Errorf("%+v, %v; want %+v", got, err, value)
			}
			for n := range min(len(written), 200) {
				if got, err := decodeValue(written[:n]); err == nil || !reflect.DeepEqual(got, Value{}) {
					t.Fatalf("the first %d bytes are %+v, %v", n, got, err)
				}
			}
			if _, err := decodeValue(append(written, 0)); err == nil {
				t.Error("a byte too many was read")
			}
		})
	}
}

// FuzzDecodeValue: whatever is read, is read whole, and writing it again says the same.
func FuzzDecodeValue(f *testing.F) {
	f.Add(Value{AuthTime: 1, ACR: "a", AMR: []string{"pwd"}, SessionID: "s", Claims: map[string]json.RawMessage{"r": []byte("1")}}.encode())
	f.Add([]byte{valueCode, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{valueCode, 0, 0, 0, 0, 2, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, written []byte) {
		value, err := decodeValue(written)
		if err != nil {
			return
		}
		if again, err := decodeValue(value.encode()); err != nil || !reflect.DeepEqual(again, value) {
			t.Errorf("%+v was read as %+v, %v", value, again, err)
		}
	})
}
