package spa

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// maxSite is what a visit to the shop may load in all, uncompressed.
const maxSite = 50_000

func get(t *testing.T, method, target string, header http.Header) *http.Response {
	t.Helper()
	handler, err := New()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, nil)
	r.Header = header
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

func TestServed(t *testing.T) {
	for _, c := range []struct {
		method, target string
		status         int
		kind, cache    string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "no-store"},
		{"GET", "/?code=c&state=s", 200, "text/html; charset=utf-8", "no-store"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", "no-store"},
		{"GET", "/shop/app.js", 200, "text/javascript; charset=utf-8", "no-cache"},
		{"GET", "/shop/style.css", 200, "text/css; charset=utf-8", "no-cache"},
		{"GET", "/shop/mark.svg", 200, "image/svg+xml", "no-cache"},
		{"GET", "/app.js", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/shop/index.html", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/site/app.js", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/spa.go", 404, "text/plain; charset=utf-8", ""},
		{"GET", "/api/eventcatalog/events", 404, "text/plain; charset=utf-8", ""},
		{"POST", "/", 405, "text/plain; charset=utf-8", ""},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			resp := get(t, c.method, c.target, http.Header{})
			if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.kind || resp.Header.Get("Cache-Control") != c.cache {
				t.Errorf("status %d, %v", resp.StatusCode, resp.Header)
			}
			for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q", name, got)
				}
			}
		})
	}
}

func TestRevalidated(t *testing.T) {
	etag := get(t, "GET", "/shop/app.js", http.Header{}).Header.Get("ETag")
	if resp := get(t, "GET", "/shop/app.js", http.Header{"If-None-Match": {etag}}); resp.StatusCode != http.StatusNotModified || etag == "" {
		t.Errorf("ETag %q: status %d", etag, resp.StatusCode)
	}
}

// TestSite reads the files as a browser under the policy would: what it would refuse must not be there.
func TestSite(t *testing.T) {
	size := 0
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage\.setItem|sessionStorage\.setItem`)
	imports := regexp.MustCompile(`from '(.*?)'`)
	err := fs.WalkDir(site, "site", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := site.ReadFile(name)
		if err != nil {
			return err
		}
		size += len(content)
		text := string(content)
		if found := markup.FindString(text); found != "" {
			t.Errorf("%s: %s", name, found)
		}
		for _, found := range imports.FindAllStringSubmatch(text, -1) {
			if _, err := fs.Stat(site, path.Join("site", found[1])); err != nil || !strings.HasPrefix(found[1], "./") {
				t.Errorf("%s imports %s, which is no file beside it", name, found[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > maxSite {
		t.Errorf("the shop is %d bytes, more than %d", size, maxSite)
	}
	page, err := site.ReadFile("site/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, inline := range []string{"<style", " style=", "onclick=", "onload=", "javascript:", "<base"} {
		if strings.Contains(string(page), inline) {
			t.Errorf("the page holds %s, which the policy refuses", inline)
		}
	}
}
