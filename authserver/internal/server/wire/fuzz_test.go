package wire

import (
	"net/url"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// Whatever is sent, a parameter has one meaning: what passes reads the same again, once encoded, and has no empty values.
func FuzzParseForm(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "a=1&a=2", "a=%zz", "a=1;b=2", "a&b=", "=x", "a=%00", "a+b=c+d", "a=1&%61=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded string) {
		form, err := ParseForm(encoded)
		if err != nil {
			if !oauth.IsCode(err, oauth.InvalidRequest) || form != nil {
				t.Fatalf("refused with %v and %v", err, form)
			}
			return
		}
		again, err := ParseForm(form.Encode())
		if err != nil || again.Encode() != form.Encode() {
			t.Fatalf("%q reads as %v, and then as %v (%v)", encoded, form, again, err)
		}
		raw, err := url.ParseQuery(encoded)
		if err != nil {
			t.Fatalf("passed, though it is no form: %v", err)
		}
		for name, values := range raw {
			if len(values) != 1 || form.Get(name) != values[0] {
				t.Fatalf("%q is %q, and reads as %q", name, values, form[name])
			}
		}
	})
}
