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
	sealed, err := SealAccess(key, "jti", value)
	if err != nil {
		t.Fatal(err)
	}
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
	foreign, err := SealAccess(other, "jti", value)
	if err != nil {
		t.Fatal(err)
	}
	refresh, err := SealRefresh(key, []byte("jti"), value)
	if err != nil {
		t.Fatal(err)
	}
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
