package tokenhandler

import (
	"net/http"
	"slices"
)

// Response is what the token handler adds to an answer, whoever gives it: leave for the app's pages to read it, and new
// cookies. The zero Response adds nothing.
type Response struct {
	origin  string // the app's, when the request named it; else no page of another origin may read the answer
	foreign bool   // the request named an origin, and it is not the app's
	expose  string
	cookies []string
}

// Apply adds p to the header of an answer. Call it once.
func (p Response) Apply(h http.Header) {
	p.applyCORS(h)
	for _, line := range p.cookies {
		h.Add("Set-Cookie", line)
	}
}

// applyCORS says who may read the answer. It replaces what an API said about that, and may be called again.
func (p Response) applyCORS(h http.Header) {
	if p.expose == "" {
		return // the zero Response
	}
	if !slices.Contains(h["Vary"], "Origin") {
		h.Add("Vary", "Origin")
	}
	if p.origin != "" {
		h.Set("Access-Control-Allow-Origin", p.origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", p.expose)
	}
}

// Writer applies p to the header of w and returns the writer for the API's answer. When that speaks of CORS itself, p's
// word replaces it; and when it comes with new cookies, no cache may keep it.
func (p Response) Writer(w http.ResponseWriter) http.ResponseWriter {
	p.Apply(w.Header())
	if p.origin == "" && len(p.cookies) == 0 {
		return w
	}
	return &responseWriter{ResponseWriter: w, response: p}
}

// responseWriter has the last word about a few headers: two CORS headers are none to a browser, and a session in a
// shared cache is everybody's.
type responseWriter struct {
	http.ResponseWriter
	response Response
	wrote    bool
}

func (w *responseWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = status >= http.StatusOK // informational answers come before the answer
		w.response.applyCORS(w.Header())
		if len(w.response.cookies) > 0 {
			w.Header().Set("Cache-Control", "no-store")
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush, hijack and set deadlines.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
