package rptest

import (
	"io"
	"net/http"
	"strings"
	"sync"
)

// Rest is the rest of the web, as a browser's transport: requests to the issuer go through, and every other address
// answers with an empty page. It keeps what reached those others: what leaks to them can be looked at.
type Rest struct {
	issuer  string
	network http.RoundTripper

	mu     sync.Mutex
	visits []*http.Request
}

// RoundTrip does what http.RoundTripper says.
func (r *Rest) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme+"://"+req.URL.Host == r.issuer {
		return r.network.RoundTrip(req)
	}
	if req.Body != nil {
		if err := req.Body.Close(); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	r.visits = append(r.visits, req)
	r.mu.Unlock()
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader("<p>elsewhere</p>")),
	}, nil
}

// Visits are the requests that went elsewhere, in their order.
func (r *Rest) Visits() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*http.Request(nil), r.visits...)
}
