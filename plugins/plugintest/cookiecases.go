package plugintest

import (
	"net/http"
	"strings"
)

// cookieCases: an app whose cookies stand for a token reaches an API, and
// nobody else does with them.
func cookieCases() []Case {
	cases := []Case{
		{Name: "cookies/become the phantom token", Check: cookiesBecomeToken},
		{Name: "cookies/OPTIONS from trusted and untrusted origins", Check: preflights},
		{Name: "cookies/a cross-origin GET without a trusted origin is refused", Check: foreignGets},
		{Name: "cookies/refusals can be read by the app", Check: readableRefusals},
		{Name: "cookies/a damaged one is refused", Check: damagedCookies},
		{Name: "cookies/POST without or with a wrong CSRF token is refused", Check: forgedPosts},
		{Name: "cookies/split over several headers", Check: splitCookies},
		{Name: "cookies/another Authorization skips no check", Check: otherAuthorization},
		{Name: "cookies/a bearer token passes beside them", Check: func(w *Walk) {
			w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")))
		}},
		{Name: "cookies/a WebSocket needs a trusted origin", Check: webSocketOrigin},
		{Name: "cookies/renewed before the token ends", Check: renewedOnTheWay},
		{Name: "cookies/the API's CORS headers do not stand beside ours", Check: func(w *Walk) {
			w.Upstream.Handle(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Access-Control-Allow-Origin", "*") })
			b := w.loggedIn()
			b.readable(b.api("GET"))
		}},
	}
	for i := range cases {
		cases[i].Config = withTokenHandler
	}
	return cases
}

func cookiesBecomeToken(w *Walk) {
	b := w.loggedIn()
	b.cookies["theme"], b.cookies["other"] = "dark", "1"
	for _, method := range []string{"GET", "POST"} {
		r := b.api(method)
		got := w.Passed(r)
		if got.Claims()["sub"] != "alice-id" {
			w.T.Errorf("%s: the API got the claims %v", method, got.Claims())
		}
		want := map[string]string{"GET": "theme=dark", "POST": ""}[method] // what each route lists
		if cookies := strings.Join(got.Header["Cookie"], "; "); cookies != want {
			w.T.Errorf("%s: the API got the cookies %q; want %q", method, cookies, want)
		}
		if got.Header.Get(csrfHeader) != "" {
			w.T.Errorf("%s: the API got the CSRF token", method)
		}
		b.readable(r)
	}
}

func preflights(w *Walk) {
	b := w.browser()
	asks := header("Access-Control-Request-Method", "POST")
	for _, path := range []string{Events, agentPath + "/logout"} {
		r := b.do(b.request("OPTIONS", path, "", asks))
		if r.Status != http.StatusNoContent || !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), csrfHeader) ||
			!strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), "POST") {
			w.T.Errorf("%s: a trusted preflight is answered %d %v", path, r.Status, r.Header)
		}
		b.readable(r)
		r = b.do(b.request("OPTIONS", path, "", asks, header("Origin", foreignOrigin)))
		if r.Status < 400 {
			w.T.Errorf("%s: a foreign preflight is answered %d", path, r.Status)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				w.T.Errorf("%s: a foreign origin is told %s", path, name)
			}
		}
	}
	w.NothingPassed()
}

func foreignGets(w *Walk) {
	b := w.loggedIn()
	for name, edits := range map[string][]func(*http.Request){
		"a foreign origin":    {header("Origin", foreignOrigin), header("Sec-Fetch-Site", "cross-site")},
		"one of an old time":  {header("Origin", foreignOrigin), header("Sec-Fetch-Site", "")},
		"null":                {header("Origin", "null")},
		"a neighbour's image": {header("Origin", ""), header("Sec-Fetch-Site", "same-site")},
		"a foreign image":     {header("Origin", ""), header("Sec-Fetch-Site", "cross-site")},
	} {
		for _, path := range []string{Events, agentPath + "/claims"} {
			if r := b.do(b.request("GET", path, "", edits...)); r.Status != http.StatusUnauthorized || r.Header.Get("Access-Control-Allow-Origin") == foreignOrigin {
				w.T.Errorf("%s at %s: answered %d", name, path, r.Status)
			}
		}
	}
	w.NothingPassed()
	w.Passed(b.api("GET", header("Origin", ""), header("Sec-Fetch-Site", "same-origin")))
}

// readableRefusals: an app that cannot read a refusal cannot act on it.
func readableRefusals(w *Walk) {
	out, in := w.browser(), w.loggedIn()
	for _, c := range []struct {
		answer Response
		status int
	}{
		{out.api("GET"), 401}, {in.api("POST", header(csrfHeader, "wrong")), 401},
		{in.do(in.request("GET", "/nowhere", "")), 404}, {in.do(in.request("GET", AdminOf, "")), 403},
		{in.do(in.request("DELETE", Events, "")), 405},
	} {
		w.Refused(c.answer, c.status, "")
		in.readable(c.answer)
	}
	in.agentFails(out.agent("GET", "/claims", ""), 401, "unauthorized_request")
	w.NothingPassed()
}

// damagedCookies: too short, another key's, and each of its parts altered; and
// nothing in the answers tells them apart.
func damagedCookies(w *Walk) {
	b := w.loggedIn()
	at := "__Host-shop-at"
	honest := b.cookies[at]
	flip := func(i int) string {
		c := byte('A')
		if honest[i] == c {
			c = 'B'
		}
		return honest[:i] + string(c) + honest[i+1:]
	}
	first := ""
	for name, value := range map[string]string{
		"too short": honest[:12], "empty": "", "cut": honest[:len(honest)-4], "longer": honest + "AAAA",
		"its key's name": flip(4), "its IV": flip(12), "its text": flip(len(honest) / 2), "its tag": flip(len(honest) - 6),
		"another's": b.cookies["__Host-shop-rt"], "garbage": "1" + strings.Repeat("A", len(honest)-1),
	} {
		b.cookies[at] = value
		r := b.api("GET")
		w.Refused(r, http.StatusUnauthorized, "unauthorized_request")
		r.Header.Del("Date")
		if told := r.Header.Get("WWW-Authenticate") + r.Body + strings.Join(r.Header["Set-Cookie"], ""); first == "" {
			first = told
		} else if told != first {
			w.T.Errorf("%s is told apart: %s; others get %s", name, told, first)
		}
	}
	other := w.loggedIn()
	b.cookies[at], b.cookies["__Host-shop-csrf"], b.csrf = honest, other.cookies["__Host-shop-csrf"], other.csrf
	w.Refused(b.api("POST"), http.StatusUnauthorized, "unauthorized_request")
	w.NothingPassed()
}

func forgedPosts(w *Walk) {
	b := w.loggedIn()
	for _, token := range []string{"", "wrong", b.csrf[1:], b.csrf + "A", b.cookies["__Host-shop-csrf"]} {
		w.Refused(b.api("POST", header(csrfHeader, token)), http.StatusUnauthorized, "unauthorized_request")
	}
	w.Refused(b.api("POST", header("Origin", "")), http.StatusUnauthorized, "unauthorized_request")
	w.NothingPassed()
	w.Passed(b.api("POST"))
}

// splitCookies: HTTP/2 may send each cookie in a header of its own.
func splitCookies(w *Walk) {
	b := w.loggedIn()
	lines := []string{"Origin: " + appOrigin, csrfHeader + ": " + b.csrf}
	for name, value := range b.cookies {
		lines = append(lines, "Cookie: "+name+"="+value)
	}
	w.Passed(w.Raw("GET", Events, lines...))
}

func otherAuthorization(w *Walk) {
	b := w.loggedIn()
	for _, value := range []string{"Basic YWxpY2U6eA==", "Bearer", "Bearer ", "Digest x"} {
		w.Refused(b.api("GET", header("Origin", foreignOrigin), header("Authorization", value)), http.StatusUnauthorized, "")
		w.Refused(b.api("POST", header(csrfHeader, "wrong"), header("Authorization", value)), http.StatusUnauthorized, "")
	}
	w.NothingPassed()
	if got := w.Passed(b.api("GET", header("Authorization", "Basic YWxpY2U6eA=="))); got.Claims()["sub"] != "alice-id" {
		w.T.Errorf("with Basic beside the cookies the API got %q", got.Header["Authorization"])
	}
}

func webSocketOrigin(w *Walk) {
	b := w.loggedIn()
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	for name, value := range b.cookies {
		upgrade = append(upgrade, "Cookie: "+name+"="+value)
	}
	for _, origin := range []string{"Origin: " + foreignOrigin, "X-No-Origin: 1"} {
		w.Refused(w.Raw("GET", Events, append([]string{origin}, upgrade...)...), http.StatusUnauthorized, "")
	}
	w.NothingPassed()
	w.Passed(w.Raw("GET", Events, append([]string{"Origin: " + appOrigin}, upgrade...)...))
}

// renewedOnTheWay waits for the last quarter of a token's life, in which the
// gateway must renew it, and says so to the browser together with the API's
// answer.
func renewedOnTheWay(w *Walk) {
	w.Issuer.ShortTokens(2)
	b := w.loggedIn()
	w.Issuer.ShortTokens(300)
	first := b.cookies["__Host-shop-at"]
	w.Upstream.Handle(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Set-Cookie", "__Host-api=1; Path=/; Secure; HttpOnly; SameSite=Strict")
	})
	var r Response
	w.eventually("new cookies on an API's answer", func() bool {
		r = b.api("GET")
		w.Passed(r)
		return b.cookies["__Host-shop-at"] != first
	})
	if n := len(r.Header["Set-Cookie"]); n != 3 || b.cookies["__Host-api"] == "" {
		w.T.Errorf("the answer sets %d cookies; want the API's and two of ours", n)
	}
	if r.Header.Get("Cache-Control") != "no-store" {
		w.T.Error("an answer with new cookies may be kept by caches")
	}
	w.Passed(b.api("POST"))
}
