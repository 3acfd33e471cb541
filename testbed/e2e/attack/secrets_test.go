package attack

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// journal is a log that the test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestSecretsStayWhereTheyAre has secrets go every way they are meant to, and many that they are not (in addresses, under
// wrong names, in wrong places), and then looks for them in the log at its most talkative, and in the database's files.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	log := &journal{}
	w := rptest.New(t, rptest.Options{Clock: rptest.NewClock(), Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	client, jar := jarOf(t, w)
	plain := w.HTTP
	canaries := map[string]string{"alice's password": rptest.Password("alice"), "web's secret": rptest.Web().Secret, "job's secret": rptest.Job().Secret}

	w.HTTP = client
	a := rptest.Web().Ask("openid offline_access catalogue.read", "nonce", "canary-nonce", "state", "canary-state")
	canaries["the verifier"], canaries["the state"] = a.Verifier, "canary-state"
	ticket := ticketOf(t, w.Do(t, mustGet(t, w, w.Address(a))))
	page := w.Post(t, "/oauth/login", rptest.App{}, rptest.Form("ticket", ticket, "login", "alice", "password", rptest.Password("alice")))
	canaries["a login's ticket"], canaries["a consent's ticket"] = ticket, ticketOf(t, page)
	back := w.Post(t, "/oauth/consent", rptest.App{}, rptest.Form("ticket", ticketOf(t, page), "decision", "allow"))
	to, err := url.Parse(back.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		t.Fatalf("%d %q %v", back.Status, back.Header.Get("Location"), err)
	}
	canaries["the code"] = to.Query().Get("code")
	for name, value := range cookies(jar, mustParse(t, w.URL)) {
		canaries["the cookie "+name] = value
	}
	w.HTTP = plain
	tokens := rptest.TokensOf(t, w.Post(t, "/oauth/token", a.App, a.Redemption(canaries["the code"])))
	fresh := rptest.TokensOf(t, w.Refresh(t, a.App, tokens.Refresh))
	canaries["an access token"], canaries["a refresh token"], canaries["an ID token"] = tokens.Access, tokens.Refresh, tokens.ID
	canaries["a refreshed one"], canaries["its refresh token"] = fresh.Access, fresh.Refresh
	phantom := w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", fresh.Access), "Accept", "application/jwt").Body
	canaries["a phantom token"] = phantom

	misplace(t, w, tokens, canaries)
	w.Post(t, "/oauth/token", a.App, a.Redemption(canaries["the code"])) // used twice: the log has a warning about that
	if !strings.Contains(log.String(), "redeemed twice") {
		t.Fatal("the control: the log says nothing")
	}
	w.Stop(t) // so that everything is in the files
	files := contents(t, filepath.Join(w.Dir, "db"))
	if !strings.Contains(files, "catalogue.read") {
		t.Fatal("the control: the files say nothing")
	}
	for name, canary := range canaries {
		for kind, text := range spellings(canary) {
			if strings.Contains(log.String(), text) {
				t.Errorf("%s is in the log, %s", name, kind)
			}
			if name != "the state" && strings.Contains(files, text) {
				t.Errorf("%s is in the database, %s", name, kind)
			}
		}
	}
	for _, claim := range []string{"Alice Arendt", "alice@example.com", "canary-nonce", "canary-state"} {
		if strings.Contains(files, claim) || strings.Contains(log.String(), claim) {
			t.Errorf("%s is in the database or the log", claim)
		}
	}
}

// misplace sends secrets where they do not belong.
func misplace(t *testing.T, w *rptest.World, tokens rptest.Tokens, canaries map[string]string) {
	t.Helper()
	for _, secret := range canaries {
		quoted := url.QueryEscape(secret)
		for _, path := range []string{"/oauth/token", "/oauth/userinfo", "/oauth/introspect", "/oauth/authorize", "/oauth/logout", "/nowhere", "/admin/v1/tokens"} {
			w.Get(t, path+"?access_token="+quoted+"&client_secret="+quoted+"&id_token_hint="+quoted+"&client_id="+quoted+"&state="+quoted)
			w.Get(t, path+"/"+url.PathEscape(secret))
		}
		for _, path := range []string{"/oauth/token", "/oauth/introspect", "/oauth/revoke", "/oauth/userinfo", "/oauth/login", "/oauth/consent", "/oauth/logout"} {
			w.Post(t, path, rptest.App{ID: "job", Secret: secret}, rptest.Form("grant_type", secret, "token", secret, "ticket", secret, secret, secret))
			w.Post(t, path, rptest.Web(), rptest.Form("grant_type", "refresh_token", "refresh_token", secret, "scope", secret, "audience", secret))
		}
		w.Operate(t, "x", "POST", "/admin/v1/revocations", `{"token":"`+quoted+`"}`)
		w.Operate(t, w.Machine(t, rptest.Operator()), "POST", "/admin/v1/revocations", `{"client":"`+quoted+`"}`)
	}
	b := w.Browser(t)
	page := w.Open(t, b, rptest.Web().Ask("openid"))
	for range 25 { // a person who types the password into the wrong field, until it is throttled
		rptest.Submit(t, b, page, "login", rptest.Password("alice"), "password", rptest.Password("alice"))
	}
	w.Userinfo(t, tokens.Access)
}

// spellings are the ways in which a secret could be written down.
func spellings(secret string) map[string]string {
	return map[string]string{
		"as it is": secret, "in an address": url.QueryEscape(secret), "in a path": url.PathEscape(secret), "in base64": base64.StdEncoding.EncodeToString([]byte(secret)),
		"in base64url": base64.RawURLEncoding.EncodeToString([]byte(secret)), "in hex": hex.EncodeToString([]byte(secret)),
	}
}

// contents joins the files of a folder.
func contents(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
