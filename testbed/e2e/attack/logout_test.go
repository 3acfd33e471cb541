package attack

import (
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestALinkSignsNobodyOut sends a signed-in person to logout by a link, with what an attacker may have: nothing, an ID
// token of its own, and one of the victim's from a login long ago or on another device. The person is asked.
func TestALinkSignsNobodyOut(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	phone, laptop := w.Browser(t), w.Browser(t)
	onPhone := w.TokensFor(t, phone, "alice", rptest.Web().Ask("openid catalogue.read"))
	before := w.TokensFor(t, laptop, "alice", rptest.Web().Ask("openid catalogue.read"))
	now := w.TokensFor(t, laptop, "alice", rptest.Web().Ask("openid catalogue.read", "prompt", "login"))
	bob := w.TokensFor(t, w.Browser(t), "bob", rptest.Web().Ask("openid catalogue.read"))
	for name, hint := range map[string]string{"nothing": "", "an ID token of bob": bob.ID, "one of the phone": onPhone.ID, "one of a former login": before.ID} {
		page, err := laptop.Open(t.Context(), w.URL+"/oauth/logout?"+rptest.Form("id_token_hint", hint, "client_id", "web").Encode())
		if err != nil {
			t.Fatal(err)
		}
		if page.Form == nil || !page.Form.Fields["decision"] {
			t.Errorf("%s: nobody was asked", name)
		}
	}
	for name, tokens := range map[string]rptest.Tokens{"the phone": onPhone, "the former login": before, "the laptop": now, "bob": bob} {
		if !w.Active(t, tokens.Access) {
			t.Errorf("a link signed %s out", name)
		}
	}
	// The control: the ID token of this very login does.
	if _, err := laptop.Open(t.Context(), w.URL+"/oauth/logout?id_token_hint="+now.ID); err != nil || w.Active(t, now.Access) || !w.Active(t, onPhone.Access) {
		t.Errorf("the app of this login could not sign it out, or signed out more: %v", err)
	}
}
