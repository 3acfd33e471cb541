package tokenhandler

import (
	"net/http"
	"slices"
)

// Response is what the token handler adds to an answer, whoever gives it: leave for the app's pages to read it, and new
// cookies. The zero Response adds nothing.
type Response struct {
	origin  string // the app's, when the request named it; else no page of another origin may read the answer
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

// Writer applies p to the header of w and returns the writer for the API's answer: when that brings CORS headers of its
// own, p's replace them.
func (p Response) Writer(w http.ResponseWriter) http.ResponseWriter {
	p.Apply(w.Header())
	if p.origin == "" {
		return w
	}
	return &corsWriter{ResponseWriter: w, response: p}
}

// corsWriter keeps an API's CORS headers from standing beside ours: two of them are none to a browser.
type corsWriter struct {
	http.ResponseWriter
	response Response
	wrote    bool
}

func (w *corsWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote = status >= http.StatusOK // informational answers come before the answer
		w.response.applyCORS(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *corsWriter) Write(p []byte) (int, error) {
	if !w.wrote {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController flush, hijack and set deadlines.
func (w *corsWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
