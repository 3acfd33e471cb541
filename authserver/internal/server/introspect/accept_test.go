package introspect

import (
	"strings"
	"testing"
)

// FuzzNegotiate: whatever is sent, the answer has one of our forms, and is a token only when the asker named it.
func FuzzNegotiate(f *testing.F) {
	for _, accept := range []string{"", "*/*", formJWT, "application/jwt;q=0.5, application/json", "application/*;q=1;q=0", ";;q", "a/b;q=-1"} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		switch form := negotiate([]string{accept}); form {
		case formJSON:
		case formJWT, formSigned:
			if !strings.Contains(strings.ToLower(accept), form) {
				t.Errorf("%q is answered as %s", accept, form)
			}
		default:
			t.Errorf("%q is answered as %q", accept, form)
		}
	})
}
