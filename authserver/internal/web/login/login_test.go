package login

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// preview keeps the pages for a look with a browser: go test ./authserver/internal/web/login -preview /tmp/pages
var preview = flag.String("preview", "", "a directory to write every page to")

const hostile = `"><script>alert(1)</script>`

func testPages(t *testing.T) *Pages {
	t.Helper()
	pages, err := New("https://id.example", slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// everyPage is every page in every state that looks different.
func everyPage(p *Pages) map[string]func(http.ResponseWriter) {
	ticket := strings.Repeat("tIcKeT-_", 120)
	groups := []Group{
		{Title: "Event catalogue", Scopes: []Scope{{Title: "See events and their prices"}, {Title: "Change events", New: true}}},
		{Title: "Shopping basket", Scopes: []Scope{{Title: "See what is in your basket"}}},
		{Title: "About you", Scopes: []Scope{{Title: "Know that it is you when you come back"}, {Title: "See your name and profile"}, {Title: "Keep this access while you are away"}}},
	}
	return map[string]func(http.ResponseWriter){
		"signin": func(w http.ResponseWriter) {
			p.SignIn(w, 200, SignIn{App: "Partner Tickets", Ticket: ticket, RedirectURI: "https://app.example/cb?x=1"})
		},
		"signin-problem": func(w http.ResponseWriter) {
			p.SignIn(w, 422, SignIn{App: "Partner Tickets", Login: "alice", Ticket: ticket, Problem: &Problem{Field: true,
				What: "User name and password do not match.", Next: "Check both and try again."}})
		},
		"signin-wait": func(w http.ResponseWriter) {
			p.SignIn(w, 429, SignIn{App: "Partner Tickets", Login: "alice", Ticket: ticket, Problem: &Problem{
				What: "Too many attempts.", Next: "Wait 40 seconds, then try again."}})
		},
		"consent": func(w http.ResponseWriter) {
			p.Consent(w, Consent{App: "Partner Tickets", Login: "alice", Ticket: ticket, RedirectURI: "https://tickets.example/cb", Groups: groups})
		},
		"failure": func(w http.ResponseWriter) {
			p.Failure(w, 400, Failure{Problem: Problem{What: "This app’s link does not work",
				Next: "Nothing was done. Go back to the app and start again; if it happens again, tell the people who make the app."},
				Detail: "redirect_uri is not registered for this client", RequestID: "9f8e7d6c5b4a"})
		},
		"signout": func(w http.ResponseWriter) {
			p.SignOut(w, SignOut{App: "Partner Tickets", Login: "alice", Ticket: ticket})
		},
		"signedout": p.SignedOut,
		"stayed":    p.Stayed,
		"hostile": func(w http.ResponseWriter) {
			p.Consent(w, Consent{App: hostile, Login: hostile, Ticket: hostile, RedirectURI: "https://app.example/" + hostile,
				Groups: []Group{{Title: hostile, Scopes: []Scope{{Title: hostile}}}}})
		},
	}
}

func TestEveryPage(t *testing.T) {
	for name, write := range everyPage(testPages(t)) {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			write(rec)
			body := rec.Body.String()
			if *preview != "" {
				if err := os.WriteFile(filepath.Join(*preview, name+".html"), rec.Body.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if len(body) > 20_000 {
				t.Errorf("the page has %d bytes; at most 20,000 are promised", len(body))
			}
			if strings.Contains(body, "<script") || strings.Contains(body, " on") && regexp.MustCompile(`\son[a-z]+=`).MatchString(body) {
				t.Error("the page has a script")
			}
			if regexp.MustCompile(`(src|href)=`).MatchString(body) {
				t.Error("the page loads or links something")
			}
			checkHeaders(t, rec.Header(), body)
			checkMarkup(t, body)
		})
	}
}

func checkHeaders(t *testing.T, h http.Header, body string) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		"X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(body)
	if style == nil {
		t.Fatal("no style")
	}
	hash := sha256.Sum256([]byte(style[1]))
	csp := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
		"style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q lacks %q", csp, want)
		}
	}
}

// checkMarkup looks for what people with a screen reader, a keyboard or a password manager need.
func checkMarkup(t *testing.T, body string) {
	t.Helper()
	for _, want := range []string{`<html lang="en">`, "<title>", "<main>", `name="viewport"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := strings.Count(body, "<h1>"); n != 1 {
		t.Errorf("the page has %d main headings", n)
	}
	for _, input := range regexp.MustCompile(`<input id="([a-z]+)"[^>]*>`).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(body, `<label for="`+input[1]+`"`) {
			t.Errorf("the field %s has no label", input[1])
		}
		if !strings.Contains(input[0], "autocomplete=") {
			t.Errorf("the field %s does not tell a password manager what it is", input[1])
		}
		if strings.Contains(body, `role="alert"`) && !strings.Contains(input[0], `aria-describedby="problem"`) {
			t.Errorf("the field %s is not tied to the problem", input[1])
		}
	}
}

func TestFormTarget(t *testing.T) {
	for redirect, want := range map[string]string{
		"":                                "",
		"https://app.example:8443/cb?x=1": " https:",
		"http://127.0.0.1:54321/cb":       " http: https:",
		"com.example.app:/cb":             " com.example.app:",
		"relative; script-src *":          "",
		"https://app.example/; 'x'":       " https:",
		"evil script-src *:/x":            "", // no such scheme
	} {
		if got := formTarget(redirect); got != want {
			t.Errorf("formTarget(%q) is %q, not %q", redirect, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if _, err := New("/relative", log); err == nil {
		t.Error("a relative issuer was accepted")
	}
	if _, err := New("https://id.example", nil); err == nil {
		t.Error("a missing logger was accepted")
	}
}
