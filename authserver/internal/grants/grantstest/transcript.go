package grantstest

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// Transcript is requests and answers as they were on the wire, in a form that is the same in every run: what is random
// has a name, and a JWT is shown opened.
type Transcript struct {
	issuer *Issuer
	text   strings.Builder
	names  map[string]string
}

// Transcript begins an empty transcript.
func (i *Issuer) Transcript() *Transcript { return &Transcript{issuer: i, names: map[string]string{}} }

// Send posts a form, as PostAccept does, and writes down the request and the answer.
func (tr *Transcript) Send(title, accept, path, clientID string, form ...string) *httptest.ResponseRecorder {
	w := tr.issuer.PostAccept(accept, path, clientID, form...)
	fmt.Fprintf(&tr.text, "=== %s\n> POST %s\n", title, path)
	if client, _ := tr.issuer.Clients.Find(Tenant, clientID); client.Public {
		form = append(slices.Clone(form), "client_id", clientID)
	} else if clientID != "" {
		fmt.Fprintf(&tr.text, "> Authorization: Basic <%s and its secret>\n", clientID)
	}
	if accept != "" {
		fmt.Fprintf(&tr.text, "> Accept: %s\n", accept)
	}
	for n := 0; n+1 < len(form); n += 2 {
		fmt.Fprintf(&tr.text, "> %s=%s\n", form[n], tr.named(form[n+1]))
	}
	fmt.Fprintf(&tr.text, "< %d\n", w.Code)
	names := make([]string, 0, len(w.Header()))
	for name := range w.Header() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if name != "Content-Length" { // the lengths of ids and signatures
			fmt.Fprintf(&tr.text, "< %s: %s\n", name, tr.named(strings.Join(w.Header()[name], "; ")))
		}
	}
	fmt.Fprintf(&tr.text, "%s\n", tr.named(w.Body.String()))
	return w
}

// Compare demands that the transcript is what the golden file says.
func (tr *Transcript) Compare(t *testing.T, file string) {
	t.Helper()
	if *update {
		must(t, os.WriteFile(file, []byte(tr.text.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got := tr.text.String(); got != string(want) {
		t.Errorf("the wire is not that of %s (go test -update writes it anew, once the change is meant):\n%s", file, got)
	}
}

var random = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"jwt", regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)},
	{"access reference", regexp.MustCompile(`pgat_\w{49}`)},
	{"refresh reference", regexp.MustCompile(`pgrt_\w{49}`)},
	{"hash", regexp.MustCompile(`"at_hash":"[\w-]{22}"`)},
	{"code", regexp.MustCompile(`^[\w-]{43}$`)}, // a form value by itself. No \b: one in 32 begins or ends with "-", which is no part of a word
	{"key of a reach", regexp.MustCompile(`[\w-]{22}=`)},
	{"epoch", regexp.MustCompile(`\b[0-9a-f]{32}\b`)},
	{"id", regexp.MustCompile(`\b[A-Z2-7]{26}\b`)},
}

// named gives every random thing a name, the same one wherever it stands.
func (tr *Transcript) named(text string) string {
	for _, kind := range random {
		text = kind.pattern.ReplaceAllStringFunc(text, func(found string) string {
			if kind.what == "jwt" {
				return "<" + tr.named(opened(found)) + ">"
			}
			if tr.names[found] == "" {
				n := 1
				for _, name := range tr.names {
					if strings.HasPrefix(name, "<"+kind.what) {
						n++
					}
				}
				tr.names[found] = fmt.Sprintf("<%s %d>", kind.what, n)
			}
			return tr.names[found]
		})
	}
	return text
}

// opened shows a JWT's header and claims.
func opened(signed string) string {
	parts := strings.Split(signed, ".")
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(header) + "\n " + string(claims)
}
