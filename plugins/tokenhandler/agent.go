package tokenhandler

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
)

// demand is what an endpoint asks of a request before it looks at it.
type demand int

const (
	readable   demand = iota // no foreign origin
	started                  // an origin of the app: there is no CSRF token before a login
	changing                 // that, and a session with its CSRF header, which the endpoint checks
	serverSent               // nothing: it does not come from a browser, and proves itself
)

// endpoint is one of the OAuth agent's. It answers by its own hand, or returns why not.
type endpoint struct {
	method string
	demand demand
	serve  func(w http.ResponseWriter, r *http.Request, j *jar) error
}

func (h *Handler) routes() map[string]endpoint {
	return map[string]endpoint{
		"/login/start":        {http.MethodPost, started, h.loginStart},
		"/login/end":          {http.MethodPost, started, h.loginEnd},
		"/session":            {http.MethodGet, readable, h.getSession},
		"/userInfo":           {http.MethodGet, readable, h.getUserInfo},
		"/claims":             {http.MethodGet, readable, h.getClaims},
		"/refresh":            {http.MethodPost, changing, h.postRefresh},
		"/logout":             {http.MethodPost, changing, h.logout},
		"/backchannel-logout": {http.MethodPost, serverSent, h.backChannelLogout},
	}
}

// ServeAgent answers r when that is the token handler's to do: every preflight, and whatever is asked of the OAuth
// agent. It tells whether it did.
func (h *Handler) ServeAgent(w http.ResponseWriter, r *http.Request) (answered bool) {
	switch {
	case h.ServePreflight(w, r):
	case h.IsAgentPath(r.URL.Path):
		h.serveAgent(w, r)
	default:
		return false
	}
	return true
}

// ServePreflight answers r when it is a preflight (Fetch section 4.8), whichever path it is for. It tells whether it
// did.
func (h *Handler) ServePreflight(w http.ResponseWriter, r *http.Request) (answered bool) {
	if !isPreflight(r) {
		return false
	}
	h.cors.preflight(w, r)
	return true
}

func (h *Handler) serveAgent(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p) // how net/http is told to drop a connection
			}
			h.logger.Error("OAuth agent failed", "panic", p)
			serverError().write(w)
		}
	}()
	response := h.cors.response(r)
	response.applyCORS(w.Header())
	if err := h.dispatch(w, r, response); err != nil {
		said := h.agentErrorOf(err)
		if said.clear {
			w.Header()["Set-Cookie"] = h.names.clearAll()
		}
		said.write(w)
	}
}

func (h *Handler) dispatch(w http.ResponseWriter, r *http.Request, response Response) error {
	e, known := h.endpoints[strings.TrimPrefix(r.URL.Path, h.cfg.Path)]
	switch {
	case !known || r.URL.RawPath != "":
		return &agentError{status: http.StatusNotFound, code: "invalid_request", message: "the OAuth agent has no such endpoint"}
	case r.Method != e.method:
		return &agentError{status: http.StatusMethodNotAllowed, code: "invalid_request", message: "another method is needed", allow: e.method}
	case e.demand != serverSent && !response.admits(r, e.demand != readable):
		h.logger.Debug("request not authorized", "reason", "origin")
		return unauthorizedRequest()
	}
	var j jar
	h.names.read(r.Header, &j)
	return e.serve(w, r, &j)
}

// state is what the app learns about its session.
type state struct {
	Handled    *bool  `json:"handled,omitempty"`
	IsLoggedIn bool   `json:"isLoggedIn"`
	CSRF       string `json:"csrf,omitempty"`
}

// stateOf tells the app about the session of j. No cookies are no session; cookies with a fault are a fault.
func (h *Handler) stateOf(j *jar) (state, error) {
	s, err := h.openSession(j, h.now().UnixMilli())
	if errors.Is(err, errNoSession) {
		return state{}, nil
	}
	return state{IsLoggedIn: err == nil, CSRF: s.csrf}, err
}

func (h *Handler) getSession(w http.ResponseWriter, _ *http.Request, j *jar) error {
	state, err := h.stateOf(j)
	if err == nil {
		writeJSON(w, http.StatusOK, state)
	}
	return err
}

func (h *Handler) getClaims(w http.ResponseWriter, _ *http.Request, j *jar) error {
	s, err := h.openSession(j, h.now().UnixMilli())
	if err == nil {
		writeJSON(w, http.StatusOK, s.claims)
	}
	return err
}

func (h *Handler) getUserInfo(w http.ResponseWriter, r *http.Request, j *jar) error {
	now := h.now().UnixMilli()
	o, err := h.openAccess(j, now)
	if err != nil {
		return err
	}
	reference, cookies := o.access.reference, []string(nil)
	if now >= o.access.renew {
		if reference, cookies, err = h.renew(r.Context(), j, o.access, now); err != nil {
			return err
		}
	}
	for _, line := range cookies {
		w.Header().Add("Set-Cookie", line)
	}
	info, err := h.issuer.userInfo(r.Context(), reference)
	if err == nil {
		writeJSON(w, http.StatusOK, info)
	}
	return err
}

func (h *Handler) postRefresh(w http.ResponseWriter, r *http.Request, j *jar) error {
	s, err := h.openSession(j, h.now().UnixMilli())
	if err == nil {
		err = h.checkCSRF(r, j, &s.stamp)
	}
	switch {
	case err != nil:
		return err
	case s.refresh == "":
		return errEnded // nothing can be refreshed: the next step is a login
	}
	_, cookies, err := h.refresh(r.Context(), s, j)
	if err != nil {
		return err
	}
	w.Header()["Set-Cookie"] = cookies
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// maxAgentBody bounds what an app may send: a page's address and a few parameters.
const maxAgentBody = 16 << 10

// readJSON reads the JSON object of r into target. An empty body is an empty object. The content type must say JSON,
// which no form of a foreign page can.
func readJSON(w http.ResponseWriter, r *http.Request, target any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAgentBody))
	if err != nil {
		return invalidRequest("the body is longer than 16 KiB, or was cut short")
	}
	if len(body) == 0 {
		return nil
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/json" || json.Unmarshal(body, target) != nil {
		return invalidRequest("the body must be a JSON object, with Content-Type: application/json")
	}
	return nil
}
