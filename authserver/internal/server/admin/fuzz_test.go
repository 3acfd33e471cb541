package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/revocation"
)

// No body is taken for a revocation of something it does not name: what passes says the same again, member by member.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{
		`{"everything":true}`, `{"user":"alice","client":"web"}`, `{"user":"","client":"web"}`, `{"user":null,"client":"web"}`,
		`{"client":"a","client":"b"}`, `{"client":"a","Client":"b"}`, `{"client":"a"}{}`, `{"client":["a"]}`, `[]`, `{`, `null`,
		`{"x":{"client":"a"}}`, `{"everything":"true"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		target, err := parseTarget([]byte(body))
		if err != nil {
			if !oauth.IsCode(err, oauth.InvalidRequest) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("passed, though it is no object: %v", err)
		}
		var named revocation.Target
		for name, value := range members {
			text, _ := value.(string)
			switch strings.ToLower(name) {
			case "token":
				named.Token = text
			case "grant":
				named.Grant = text
			case "session":
				named.Session = text
			case "user":
				named.User = text
			case "client":
				named.Client = text
			case "tenant":
				named.Tenant = text
			case "everything":
				named.Everything = value == true
			default:
				t.Fatalf("passed with the member %q", name)
			}
		}
		if named != target {
			t.Fatalf("%s reads as %+v", body, target)
		}
	})
}
