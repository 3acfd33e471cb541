package whoami

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	jwt := "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJl"
	reference := "pgat_00000000000000000000000000000000000000000001veP1o"
	for name, c := range map[string]struct{ header, value, want string }{
		"a JWT":                   {"Authorization", "Bearer " + jwt, "Bearer eyJ… (a JWT of 49 characters)"},
		"a JWT elsewhere":         {"X-Access-Token", jwt, "eyJ… (a JWT of 49 characters)"},
		"a reference":             {"Authorization", "Bearer " + reference, "Bearer pgat_…"},
		"a reference elsewhere":   {"X-Debug", "before " + reference + " after", "before pgat_… after"},
		"an unknown credential":   {"Authorization", "Basic YTpi", "…"},
		"a proxy's":               {"Proxy-Authorization", "Basic YTpi", "…"},
		"cookies":                 {"Cookie", "a=secret; __Host-b=secret=", "a=…; __Host-b=…"},
		"what is not a secret":    {"User-Agent", "curl/8", "curl/8"},
		"two of which one is one": {"X-Two", "a, " + jwt, "a, eyJ… (a JWT of 49 characters)"},
	} {
		got := mask(c.header, c.value)
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		if strings.Contains(got, jwt) || strings.Contains(got, reference[5:]) {
			t.Errorf("%s: the token is in the answer", name)
		}
	}
}

func TestWithoutGuard(t *testing.T) {
	rec := httptest.NewRecorder()
	Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/whoami", nil))
	if rec.Code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", rec.Code)
	}
}
