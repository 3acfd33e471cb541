// Package login renders the pages that a person sees at the issuer: sign-in, consent, sign-out, and what to do when
// something cannot go on. They are plain HTML: no script, one embedded style, nothing loaded from anywhere.
//
// The package decides nothing. What a page carries back to us is the caller's sealed ticket, which it treats as text.
package login

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
)

//go:embed pages
var files embed.FS

// Pages renders. It is safe for concurrent use.
type Pages struct {
	templates *template.Template
	policy    string // Content-Security-Policy up to form-action
	log       *slog.Logger
}

// New makes Pages for an issuer, whose URL is shown to the person and is the base of every form.
func New(issuer string, log *slog.Logger) (*Pages, error) {
	base, err := url.Parse(issuer)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("login: the issuer %q is not an absolute URL", issuer)
	}
	if log == nil {
		return nil, fmt.Errorf("login: a logger is missing")
	}
	style, err := files.ReadFile("pages/style.css")
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	css := strings.TrimSpace(string(style))
	templates, err := template.New("pages").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(css) },
		"host":  func() string { return base.Host },
		"path":  func(p string) string { return base.Path + p },
	}).ParseFS(files, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	hash := sha256.Sum256([]byte(css))
	return &Pages{templates: templates, log: log,
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
			"'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"}, nil
}

// Problem tells a person what did not work and what to do next.
type Problem struct {
	What, Next string
	Field      bool // what was typed is at fault, so the fields are marked
}

// SignIn is the page that asks for user name and password.
type SignIn struct {
	App         string // who wants to know
	Login       string // filled in already
	Ticket      string
	RedirectURI string // where the form's answer may redirect to
	Problem     *Problem
}

// Consent is the page that asks whether an app may have what it asks for.
type Consent struct {
	App         string
	Login       string // who is signed in
	Ticket      string
	RedirectURI string
	Groups      []Group
}

// Group is what an app asks for at one audience.
type Group struct {
	Title  string
	Scopes []Scope
}

// Scope is one line of a Group.
type Scope struct {
	Title string
	New   bool // the person has allowed this app other things before, and not this
}

// Failure is a page at which nothing goes on.
type Failure struct {
	Problem
	Detail    string // for the developer of the app; may be empty
	RequestID string
}

// SignOut is the page that asks whether a person wants to be signed out.
type SignOut struct {
	App         string // who sent the person here; may be empty
	Login       string // who is signed in; may be empty
	Ticket      string
	RedirectURI string
}

// SignIn answers with the sign-in page.
func (p *Pages) SignIn(w http.ResponseWriter, status int, page SignIn) {
	p.render(w, status, "signin", page.RedirectURI, page)
}

// Consent answers with the consent page.
func (p *Pages) Consent(w http.ResponseWriter, page Consent) {
	p.render(w, http.StatusOK, "consent", page.RedirectURI, struct {
		Consent
		ReturnsTo string
	}{page, returnsTo(page.RedirectURI)})
}

// Failure answers with a page that says what happened and what to do next.
func (p *Pages) Failure(w http.ResponseWriter, status int, page Failure) {
	p.render(w, status, "failure", "", page)
}

// SignOut answers with the page that asks before it signs out.
func (p *Pages) SignOut(w http.ResponseWriter, page SignOut) {
	p.render(w, http.StatusOK, "signout", page.RedirectURI, page)
}

// SignedOut answers with the page that ends a sign-out.
func (p *Pages) SignedOut(w http.ResponseWriter) {
	p.render(w, http.StatusOK, "signedout", "", nil)
}

// Stayed answers with the page for who did not want to be signed out after all.
func (p *Pages) Stayed(w http.ResponseWriter) {
	p.render(w, http.StatusOK, "stayed", "", nil)
}

func (p *Pages) render(w http.ResponseWriter, status int, name, redirectURI string, data any) {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, data); err != nil {
		p.log.Error("cannot render a page", "page", name, "error", err) // only a programming fault can bring this about
		http.Error(w, "The page could not be made. Go back to your app and try again.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	wire.NoStore(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("Content-Security-Policy", p.policy+formTarget(redirectURI))
	h.Set("X-Frame-Options", "DENY") // for browsers older than frame-ancestors
	h.Set("X-Content-Type-Options", "nosniff")
	// Nothing goes to another site. "no-referrer" would do that too, but it also turns the Origin of our own forms into
	// "null", and with it goes what the forms are checked by.
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

// formTarget is what Content-Security-Policy's form-action must allow besides ourselves. Browsers apply it to the redirect
// that answers the form, and to every redirect after that one, which we cannot know: an app may send the browser on from
// its redirect URI to another host. So it is the scheme, not the host. A narrower policy leaves the person on our page,
// with a code that was spent.
func formTarget(redirectURI string) string {
	switch u, err := url.Parse(redirectURI); {
	case err != nil || u.Scheme == "":
		return ""
	case u.Scheme == "http": // a native app on loopback, which may show its last page on the web
		return " http: https:"
	default:
		return " " + u.Scheme + ":"
	}
}

// returnsTo names, for a person, where a redirect URI leads.
func returnsTo(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil:
		return "the app"
	case u.Scheme != "http" && u.Scheme != "https":
		return "an app on this device"
	case u.Hostname() == "127.0.0.1" || u.Hostname() == "::1":
		return "an app on this device (" + u.Host + ")"
	default:
		return u.Host
	}
}
