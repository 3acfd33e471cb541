package rptest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Revoke asks the operators' API, with a new operator's token, for a revocation, and wants it to be carried out.
func (w *World) Revoke(t testing.TB, target map[string]any) Reply {
	t.Helper()
	body, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	reply := w.Operate(t, w.Machine(t, Operator()), http.MethodPost, "/admin/v1/revocations", string(body))
	if reply.Status != http.StatusOK {
		t.Fatalf("the revocation %s: %d %s", body, reply.Status, reply.Body)
	}
	return reply
}

// Operate sends a request to the operators' side.
func (w *World) Operate(t testing.TB, access, method, path, body string) Reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.Admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	return w.Do(t, req)
}

// Listed is a living token as operators see it.
type Listed struct{ JTI, Grant, Session, User, Client string }

// Alive lists the living tokens of a user at a client.
func (w *World) Alive(t testing.TB, user, client string) []Listed {
	t.Helper()
	reply := w.Operate(t, w.Machine(t, Operator()), http.MethodGet, "/admin/v1/tokens?"+url.Values{"user": {user}, "client": {client}}.Encode(), "")
	var list struct{ Tokens []Listed }
	if err := json.Unmarshal([]byte(reply.Body), &list); err != nil || reply.Status != http.StatusOK {
		t.Fatalf("the list: %d %s", reply.Status, reply.Body)
	}
	return list.Tokens
}

// Introspections asks about a token in each of the three forms, and tells which of them calls it active.
func (w *World) Introspections(t testing.TB, asker App, access string) map[string]bool {
	t.Helper()
	active := map[string]bool{}
	for _, form := range []string{"application/json", "application/jwt", "application/token-introspection+jwt"} {
		reply := w.Post(t, "/oauth/introspect", asker, Form("token", access), "Accept", form)
		switch {
		case form == "application/json" && reply.Status == http.StatusOK:
			active[form] = reply.Members["active"] == true
			if !active[form] && len(reply.Members) != 1 {
				t.Errorf("an inactive token is told of: %s", reply.Body)
			}
		case form == "application/jwt" && (reply.Status == http.StatusOK || reply.Status == http.StatusNoContent && reply.Body == ""):
			active[form] = reply.Status == http.StatusOK
		case form == "application/token-introspection+jwt" && reply.Status == http.StatusOK:
			about, _ := Claims(t, reply.Body)["token_introspection"].(map[string]any)
			active[form] = about["active"] == true
			if !active[form] && len(about) != 1 {
				t.Errorf("an inactive token is told of: %v", about)
			}
		default:
			t.Errorf("introspection as %s: %d %s", form, reply.Status, reply.Body)
		}
	}
	return active
}

// Claims reads the claims of a JWT without checking it.
func Claims(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("not a JWT")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
