// Package spa is the demo's shop: a single-page app of plain ES modules, which logs in through the gateway's token handler,
// calls the APIs through the gateway, and shows what each hop holds. It holds no token, and its content security policy
// lets it load and reach nothing but the origin it came from.
package spa

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed site
var site embed.FS

// policy of content: scripts, styles and answers from our own origin only, nothing inline, no frame around it, no form that
// is sent anywhere, and no text that becomes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// kinds are the content types of the files there may be; Go's own table depends on the machine.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is one of the site's, ready to be served.
type file struct {
	name, kind, etag string
	content          []byte
}

// New makes the handler of the site: "/" is the page, and each other file answers below "/shop/". The page's views
// are fragments of its address, so nothing else is needed; any other path answers 404.
func New() (http.Handler, error) {
	entries, err := fs.ReadDir(site, "site")
	if err != nil {
		return nil, fmt.Errorf("spa: %w", err)
	}
	mux := http.NewServeMux()
	for _, entry := range entries {
		name := entry.Name()
		content, err := site.ReadFile(path.Join("site", name))
		if err != nil {
			return nil, fmt.Errorf("spa: %w", err)
		}
		kind, known := kinds[path.Ext(name)]
		if !known {
			return nil, fmt.Errorf("spa: %s: no content type is known for it; add it to kinds", name)
		}
		sum := sha256.Sum256(content)
		f := file{name, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, content}
		if name == "index.html" {
			mux.Handle("GET /{$}", f)
		} else {
			mux.Handle("GET /shop/"+name, f)
		}
	}
	return protect(mux), nil
}

// ServeHTTP answers the file. The page itself is never stored: it may be asked for with an issuer's answer in its address.
// The others are asked for again each time, which costs one 304.
func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	if f.name == "index.html" {
		w.Header().Set("Cache-Control", "no-store")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("ETag", f.etag)
	}
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
}

// protect adds what holds for every answer, errors included. No referrer: the address may hold a code.
func protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
