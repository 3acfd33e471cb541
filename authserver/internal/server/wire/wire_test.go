package wire_test

import (
	"net/url"
	"reflect"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
)

func TestParseForm(t *testing.T) {
	for encoded, want := range map[string]url.Values{
		"":                           {},
		"a=1&b=2":                    {"a": {"1"}, "b": {"2"}},
		"client_id=&token=x":         {"token": {"x"}},
		"client_id&token=x":          {"token": {"x"}},
		"a=%20":                      {"a": {" "}},
		"a=1&a=2":                    nil,
		"a=1&a=1":                    nil,
		"a=&a=1":                     nil,
		"a=1&a=":                     nil,
		"grant_type=x&grant%5ftype=": nil,
		"a=%zz":                      nil,
		"a=1;b=2":                    nil,
	} {
		form, err := wire.ParseForm(encoded)
		if want == nil {
			if !oauth.IsCode(err, oauth.InvalidRequest) {
				t.Errorf("%q: %v, %v; want invalid_request", encoded, form, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(form, want) {
			t.Errorf("%q: %v, %v; want %v", encoded, form, err, want)
		}
	}
}
