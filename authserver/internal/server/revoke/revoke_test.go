package revoke_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

func issue(t *testing.T, i *grantstest.Issuer, clientID string) grants.Answer {
	t.Helper()
	client, _ := i.Clients.Find(grantstest.Tenant, clientID)
	a, err := i.Grants.RedeemCode(t.Context(), grantstest.Tenant, client, grants.CodeRequest{
		Code: i.Code(t, clientID, "offline_access", "eventcatalog.read"), RedirectURI: grantstest.RedirectURI, Verifier: grantstest.Verifier,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func refresh(t *testing.T, i *grantstest.Issuer, clientID, reference string) (grants.Answer, error) {
	t.Helper()
	client, _ := i.Clients.Find(grantstest.Tenant, clientID)
	return i.Grants.Refresh(t.Context(), grantstest.Tenant, client, grants.RefreshRequest{Reference: reference})
}

func active(i *grantstest.Issuer, reference string) bool {
	return i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", reference).Code == http.StatusOK
}

func TestWhatRevokingEnds(t *testing.T) {
	for _, tc := range []struct {
		name, owner, asker string
		token              func(i *grantstest.Issuer, first, second grants.Answer) string
		hint               string
		// what is alive afterwards
		first, second, family bool
	}{
		{"an access reference ends itself", "web", "web", func(_ *grantstest.Issuer, a, _ grants.Answer) string { return a.AccessToken }, "", false, true, true},
		{"whatever the hint says", "web", "web", func(_ *grantstest.Issuer, a, _ grants.Answer) string { return a.AccessToken }, "refresh_token", false, true, true},
		{"a refresh reference ends its grant", "web", "web", func(_ *grantstest.Issuer, _, b grants.Answer) string { return b.RefreshToken }, "refresh_token", false, false, false},
		{"with an unknown hint", "web", "web", func(_ *grantstest.Issuer, _, b grants.Answer) string { return b.RefreshToken }, "password", false, false, false},
		{"a consumed one too", "web", "web", func(_ *grantstest.Issuer, a, _ grants.Answer) string { return a.RefreshToken }, "", false, false, false},
		{"of a public client", "mobile", "mobile", func(_ *grantstest.Issuer, _, b grants.Answer) string { return b.RefreshToken }, "", false, false, false},
		{"another client's access reference", "web", "other", func(_ *grantstest.Issuer, a, _ grants.Answer) string { return a.AccessToken }, "", true, true, true},
		{"another client's refresh reference", "web", "other", func(_ *grantstest.Issuer, _, b grants.Answer) string { return b.RefreshToken }, "", true, true, true},
		{"an unknown reference", "web", "web", func(*grantstest.Issuer, grants.Answer, grants.Answer) string {
			return "pgat_DzEA6JvDTPdyybiV5XVzV5by0CcPZx6lPeTrFo8W53Q0c9gfd"
		}, "", true, true, true},
		{"the phantom token", "web", "web", func(i *grantstest.Issuer, a, _ grants.Answer) string {
			return i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", a.AccessToken).Body.String()
		}, "", true, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := grantstest.New(t)
			first := issue(t, i, tc.owner)
			second, err := refresh(t, i, tc.owner, first.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			form := []string{"token", tc.token(i, first, second)}
			if tc.hint != "" {
				form = append(form, "token_type_hint", tc.hint)
			}
			for range 2 { // to revoke again is no error
				if w := i.Post("/oauth/revoke", tc.asker, form...); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Cache-Control") != "no-store" {
					t.Errorf("answered %d %v %s", w.Code, w.Header(), w.Body)
				}
			}
			if got := active(i, first.AccessToken); got != tc.first {
				t.Errorf("the first access token is active: %v", got)
			}
			if got := active(i, second.AccessToken); got != tc.second {
				t.Errorf("the second access token is active: %v", got)
			}
			if _, err := refresh(t, i, tc.owner, second.RefreshToken); (err == nil) != tc.family {
				t.Errorf("a refresh: %v", err)
			}
		})
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	i := grantstest.New(t)
	a := issue(t, i, "web")
	for _, tc := range []struct {
		name, client string
		form         []string
		status       int
		code         string
	}{
		{"no client", "", []string{"token", a.AccessToken}, 401, oauth.InvalidClient},
		{"an unknown client", "nobody", []string{"token", a.AccessToken}, 401, oauth.InvalidClient},
		{"no token", "web", nil, 400, oauth.InvalidRequest},
		{"two tokens", "web", []string{"token", a.AccessToken, "token", a.RefreshToken}, 400, oauth.InvalidRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := i.Post("/oauth/revoke", tc.client, tc.form...)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), `"error":"`+tc.code+`"`) {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
	if !active(i, a.AccessToken) {
		t.Error("a refused request revoked")
	}
}
