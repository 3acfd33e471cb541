package authserver_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

var update = flag.Bool("update", false, "write the golden file anew")

// random is what differs from one run to the next.
var random = regexp.MustCompile(`[A-Z2-7]{26}|[0-9a-f]{16,32}`)

// TestAdminWire pins the admin API's answers to the letter: operators' scripts read them.
func TestAdminWire(t *testing.T) {
	moment := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	issuer := authservertest.New(t, authservertest.Options{Config: machines, Now: func() time.Time { return moment }})
	operator := "Bearer " + tokenFor(t, issuer, "operator")
	var told strings.Builder
	ask := func(method, path, authorization, body string) string {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, issuer.Admin+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			request.Header.Set("Authorization", authorization)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&told, "> %s %s %s\n< %d %s\n%s\n", method, random.ReplaceAllString(path, "<random>"), body, response.StatusCode,
			response.Header.Get("Content-Type"), random.ReplaceAllString(strings.TrimSpace(string(text)), "<random>"))
		return string(text)
	}
	tokenFor(t, issuer, "batch")
	ask("GET", "/admin/v1/tokens?client=batch", operator, "")
	done := ask("POST", "/admin/v1/revocations", operator, `{"client":"batch"}`)
	ask("GET", "/admin/v1/revocations/"+random.FindString(done), operator, "")
	ask("GET", "/admin/v1/gateways", operator, "")
	ask("POST", "/admin/v1/revocations", operator, `{"user":"nobody"}`)
	ask("POST", "/admin/v1/revocations", operator, `{"client":"batch","tenant":"default"}`)
	ask("POST", "/admin/v1/revocations", "", `{"client":"batch"}`)

	const file = "testdata/admin.golden"
	if *update {
		if err := os.WriteFile(file, []byte(told.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if told.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", told.String(), want)
	}
}
