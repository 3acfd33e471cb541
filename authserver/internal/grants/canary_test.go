package grants_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

const canaryClaim = "a-claim-that-nobody-may-read"

// walk does all that can be done with a code, well and badly, and gives every secret that took part.
func walk(t *testing.T, i *grantstest.Issuer) (secrets map[string]string) {
	t.Helper()
	i.Users.Set("region", canaryClaim)
	code := i.Code(t, "web", "openid", "offline_access", "eventcatalog.read")
	h := held{Issuer: i}
	h.client, _ = i.Clients.Find(grantstest.Tenant, "web")
	post := func(path, client string, form ...string) { i.Post(path, client, form...) }

	post("/oauth/token", "web", "grant_type", "authorization_code", "code", code, "redirect_uri", grantstest.RedirectURI, "code_verifier", "wrong")
	first, err := h.redeem(t, code)
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.refresh(t, first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	phantom := i.PostAccept("application/jwt", "/oauth/introspect", "gateway", "token", second.AccessToken).Body.String()
	post("/oauth/introspect", "gateway", "token", second.RefreshToken)
	post("/oauth/introspect", "gateway", "token", second.AccessToken+"x", "audience", code)
	post("/oauth/revoke", "web", "token", second.AccessToken)
	i.Clock.Move(11 * time.Second)
	post("/oauth/token", "web", "grant_type", "refresh_token", "refresh_token", first.RefreshToken) // reuse
	post("/oauth/token", "web", "grant_type", "authorization_code", "code", code, "redirect_uri", grantstest.RedirectURI, "code_verifier", grantstest.Verifier)
	post("/oauth/token", "web", "grant_type", "refresh_token", "refresh_token", second.RefreshToken)
	return map[string]string{
		"code": code, "access reference": first.AccessToken, "refresh reference": first.RefreshToken,
		"second access reference": second.AccessToken, "second refresh reference": second.RefreshToken, "ID token": first.IDToken,
		"phantom token": phantom, "client secret": "web" + grantstest.Secret, "verifier": grantstest.Verifier, "claim": canaryClaim,
	}
}

// TestNoSecretIsLogged, even at debug, even while the database is gone.
func TestNoSecretIsLogged(t *testing.T) {
	i := grantstest.New(t)
	secrets := walk(t, i)
	code := i.Code(t, "web", "eventcatalog.read")
	secrets["code of the outage"] = code
	if err := i.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*httptest.ResponseRecorder{
		i.Post("/oauth/token", "web", "grant_type", "authorization_code", "code", code, "redirect_uri", grantstest.RedirectURI, "code_verifier", grantstest.Verifier),
		i.Post("/oauth/token", "web", "grant_type", "refresh_token", "refresh_token", secrets["refresh reference"]),
		i.Post("/oauth/token", "batch", "grant_type", "client_credentials"),
		i.Post("/oauth/introspect", "gateway", "token", secrets["access reference"]),
		i.Post("/oauth/revoke", "web", "token", secrets["refresh reference"]),
	} {
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("without a database it is answered %d %s", w.Code, w.Body)
		}
	}
	log := i.Log.String()
	if !strings.Contains(log, "grant revoked") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Fatalf("the log does not have what this test provokes:\n%s", log)
	}
	for what, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the %s is in the log", what)
		}
	}
}

// TestNothingReadableIsStored: neither the database nor its log of writes yields a reference or a token value.
func TestNothingReadableIsStored(t *testing.T) {
	i := grantstest.New(t)
	secrets := walk(t, i)
	files, err := filepath.Glob(filepath.Join(i.Dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var stored strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stored.Write(text)
	}
	if !strings.Contains(stored.String(), grantstest.Alice) {
		t.Fatal("the files are not those that hold the rows")
	}
	for what, secret := range secrets {
		if strings.Contains(stored.String(), secret) {
			t.Errorf("the %s is in the database", what)
		}
	}
}

// TestAnswersPrintNothing: an answer that slips into a log or an error shows nothing.
func TestAnswersPrintNothing(t *testing.T) {
	a := grants.Answer{AccessToken: "canary", RefreshToken: "canary", IDToken: "canary"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("issued", "answer", a, "pointer", &a)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("issued", "answer", a)
	text := log.String() + fmt.Sprint(a, &a) + fmt.Sprintf("%v %+v %#v %s %q %x", a, a, a, a, a, a) + fmt.Errorf("%v", a).Error() + oauth.Errorf("x", "%v", a).Error()
	if strings.Contains(text, "canary") || strings.Contains(text, "63616e617279") {
		t.Error(text)
	}
}
