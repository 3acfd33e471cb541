package wire_test

import (
	"log/slog"
	"net/url"
	"reflect"
	"strings"
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

// TestDescriptionsAreLegal: what a stranger sent can neither break an error_description nor make it grow.
func TestDescriptionsAreLegal(t *testing.T) {
	for text, want := range map[string]string{
		"send code":                    "send code",
		"the scope \"a\\b\" \r\né\x00": "the scope 'a?b' ????",
		strings.Repeat("x", 1000):      strings.Repeat("x", 300) + "...",
	} {
		told := wire.Explain(t.Context(), slog.New(slog.DiscardHandler), oauth.Errorf(oauth.InvalidScope, "%s", text))
		if told.Description != want {
			t.Errorf("%q is told as %q, want %q", text, told.Description, want)
		}
	}
}
