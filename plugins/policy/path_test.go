package policy

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNormalPath(t *testing.T) {
	good := map[string]string{
		"/": "/", "/a": "/a", "/a/": "/a/", "/a/b.c/..d/e..": "/a/b.c/..d/e..", "/caf%C3%A9": "/café", "/a%20b": "/a b",
		"/%61": "/a", "/a:b@c!$&'()*+,=~": "/a:b@c!$&'()*+,=~", "/a/.../b": "/a/.../b",
	}
	for target, want := range good {
		if got, ok := normalPath(parsed(t, target)); !ok || got != want {
			t.Errorf("%s: %q, %t", target, got, ok)
		}
	}
	bad := []string{
		"//", "//a", "/a//b", "/a//", "/.", "/..", "/./a", "/a/.", "/a/..", "/a/./b", "/a/../b",
		"/%2e", "/%2E%2e/a", "/a/%2e%2e", "/a/.%2e/b", "/a%2eb", // the escape of a dot has no use but to hide
		"/a%2fb", "/a%2Fb", "/a%5cb", "/a%5C..%5Cb", `/a\b`, "/a;b", "/a%3bb", "/a;", "/a%25b", "/a%252fb",
		"/a%3fb", "/a%3Fb", "/a%23b",
		"/a%00", "/a%0a", "/a%1f", "/a%7f", "/a%09b",
		"/a%ff", "/a%c0%af..%c0%afb", "/%c0%ae%c0%ae/a", // not UTF-8; overlong forms of "/" and "."
		"*", "", "a/b",
	}
	for _, target := range bad {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			u = &url.URL{Path: target}
		}
		if got, ok := normalPath(u); ok {
			t.Errorf("%s passed as %q", target, got)
		}
	}
	if _, ok := normalPath(&url.URL{Opaque: "//a", Path: "/b"}); ok {
		t.Error("an opaque address passed")
	}
	for target, want := range map[string]bool{
		"http://a/b": true, "HTTPS://a/b": true, "tyk://a/b": false, "TYK://self/b": false, "ftp://a/b": false, "file:///b": false, "ws://a/b": false,
	} {
		if _, ok := normalPath(parsed(t, target)); ok != want {
			t.Errorf("%s: %t", target, ok)
		}
	}
}

func parsed(t *testing.T, target string) *url.URL {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// FuzzPath holds normalPath to its promise: what passes reads the same to whoever decodes it again, cleans it, or
// splits it at other separators.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/b", "/a/b/", "/a/b%3f", "/a/%2e%2e/b", "/a%2fb", "/a//b", "/a;b/../c", `/a\..\b`, "/caf%C3%A9", "/%c0%ae", "/a%252e", "/a/.%2e", "*"} {
		f.Add(seed)
	}
	table, _ := Compile([]Rule{named("/*", "all"), named("/a/b", "exact")})
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		p, ok := normalPath(u)
		if !ok {
			return
		}
		cleaned := path.Clean(p)
		if strings.HasSuffix(p, "/") && p != "/" {
			cleaned += "/"
		}
		if cleaned != p {
			t.Errorf("%q is cleaned to %q", p, cleaned)
		}
		if again, err := url.PathUnescape(p); err != nil || again != p {
			t.Errorf("%q decodes again to %q", p, again)
		}
		if strings.ContainsAny(p, "\\;%?#\x00") || !utf8.ValidString(p) {
			t.Errorf("%q passed", p)
		}
		if strings.Count(u.EscapedPath(), "/") != strings.Count(p, "/") {
			t.Errorf("%q has other segments than %q", p, u.EscapedPath())
		}
		route, refusal := table.Match(&http.Request{Method: "GET", URL: u})
		if p == "/a/b/" { // the same as "/a/b" to many
			if refusal == nil {
				t.Errorf("%q was judged by %s", p, route.Audience())
			}
			return
		}
		if refusal != nil || (route.Audience() == "exact") != (p == "/a/b") {
			t.Errorf("%q: %v", p, refusal)
		}
	})
}
