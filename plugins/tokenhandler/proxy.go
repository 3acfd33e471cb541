package tokenhandler

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

// Session is what the cookies of a request to an API came to.
type Session struct {
	// Reference is the opaque access reference, for package phantomtoken. It was sealed here, which does not say that
	// the issuer still honours it.
	Reference string
	// Hash is the SHA-256 of Reference. It is zero where that was not computed yet.
	Hash [sha256.Size]byte
	// Asked tells that the issuer was asked for a new reference, which takes its time.
	Asked bool
	// Response goes with the answer, also with a refusal, whoever makes it.
	Response Response
}

// errForeign: origin or CSRF header did not show that the app's own page sent the request.
var errForeign = errors.New("origin or CSRF header do not fit")

// Open decides about a request to an API that brings cookies: the origin, then the CSRF header, then the cookies; it
// renews the access reference when that is about to end. It does not change r. now is the time. Session.Response is set also
// when there is a refusal. Every fault of origin, header or cookie gives the same refusal.
//
// Cookies that were opened before cost no allocation.
func (h *Handler) Open(r *http.Request, now time.Time) (Session, *policy.Refusal) {
	s := Session{Response: h.cors.response(r)}
	err := h.open(r, &s, now.UnixMilli())
	if err == nil {
		return s, nil
	}
	refusal := h.refusalOf(err)
	if refusal.Code == codeExpired {
		s.Response.cookies = h.names.clearAll()
	}
	return s, refusal
}

// ResponseTo is what goes with the answer to a request that no session is asked of.
func (h *Handler) ResponseTo(r *http.Request) Response { return h.cors.response(r) }

// open does so for a request to which s has the response.
func (h *Handler) open(r *http.Request, s *Session, now int64) error {
	if !s.Response.admits(r, false) {
		return errForeign
	}
	var j jar
	h.names.read(r.Header, &j)
	o, err := h.openAccess(&j, now)
	if err == nil && changes(r) {
		err = h.checkCSRF(r, &j, &o.stamp)
	}
	switch {
	case err != nil:
		return err
	case now < o.access.renew:
		s.Reference, s.Hash = o.access.reference, o.hash
		return nil
	}
	s.Asked = true
	s.Reference, s.Response.cookies, err = h.renew(r.Context(), &j, o.access, now)
	return err
}

// checkCSRF holds the CSRF header against the sealed cookie of session s.
func (h *Handler) checkCSRF(r *http.Request, j *jar, s *stamp) error {
	sealed, err := h.openNext(j, forCSRF, s)
	if err != nil {
		return err
	}
	said := r.Header[h.csrfName]
	if len(said) != 1 || !sameText(said[0], textOf(sealed)) {
		return errForeign
	}
	return nil
}

// renew refreshes a session on the way to an API. While the old reference lives, an issuer that fails ends nothing.
func (h *Handler) renew(ctx context.Context, j *jar, a access, now int64) (reference string, cookies []string, err error) {
	full, err := h.openSession(j, now)
	if err != nil {
		return "", nil, err
	}
	if full.refresh == "" {
		if now >= a.expires {
			return "", nil, errEnded
		}
		return a.reference, nil, nil
	}
	full, cookies, err = h.refresh(ctx, full, j)
	failing := errors.Is(err, errIssuer) || errors.Is(err, errUnavailable) || errors.Is(err, errTimeout)
	if failing && now < a.expires {
		h.logger.Warn("refresh failed; the session goes on until its token ends", "error", err)
		return a.reference, nil, nil
	}
	return full.access.reference, cookies, err
}

// StripCookies removes from a request to an API every cookie but those that keep names. One of ours is never kept. The
// CSRF header (CSRFHeader) is left to the caller.
func (h *Handler) StripCookies(header http.Header, keep []string) {
	stripCookies(header, h.names.prefix, keep)
}
