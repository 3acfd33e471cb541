package browser

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/phantomgate/phantomgate/testbed/chromiumtest"
)

// page is a page of somebody else's.
func page(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>foreign</title><p>%s</p><iframe name=f></iframe>", text)
	})
}

// TestForeignPages lets pages of another site, and of a neighbour on the same site, to whom SameSite means nothing, do what
// pages can do with the cookies of somebody who is signed in. Nothing happens and nothing is learnt.
func TestForeignPages(t *testing.T) {
	s := theShop(t)
	browser := chromiumtest.Start(t)
	own := open(t, browser, desktop, "light", s.url+"/")
	own.signIn("alice")
	address := serve(t, page("hello"))
	basket := s.url + "/api/shoppingbasket/basket"
	for name, foreign := range map[string]string{
		"another site":                "http://127.0.0.1" + strings.TrimPrefix(address, "localhost"),
		"a neighbour on the same one": "http://" + address,
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, browser, desktop, "light", foreign)
			p.Sees("hello")
			answers := p.answers(s.url)
			for attempt, script := range map[string]string{
				"read by fetch":                 `fetch(` + chromiumtest.Quote(basket) + `, {credentials: "include"}).then((r) => r.Text(), () => "refused")`,
				"write by fetch":                `fetch(` + chromiumtest.Quote(basket) + `, {method: "POST", credentials: "include", headers: {"Content-Type": "application/json", "x-demo-csrf": "guess"}, body: '{"event":"e1","quantity":9}'}).then((r) => r.Text(), () => "refused")`,
				"read the session":              `fetch(` + chromiumtest.Quote(s.url+"/oauth-agent/session") + `, {credentials: "include"}).then((r) => r.Text(), () => "refused")`,
				"load an API's answer as image": `new Promise((done) => { const i = new Image(); i.onload = () => done("loaded"); i.onerror = () => done("refused"); i.src = ` + chromiumtest.Quote(basket) + `; })`,
				"load as image":                 `new Promise((done) => { const i = new Image(); i.onload = () => done("loaded"); i.onerror = () => done("refused"); i.src = ` + chromiumtest.Quote(s.url+"/shop/mark.svg") + `; })`,
				"frame it":                      `new Promise((done) => { const f = document.createElement("iframe"); f.onload = () => { try { done(f.contentDocument ? "readable" : "refused"); } catch { done("refused"); } }; f.src = ` + chromiumtest.Quote(s.url+"/") + `; document.body.append(f); })`,
				"open a web socket":             `new Promise((done) => { const w = new WebSocket(` + chromiumtest.Quote("ws"+strings.TrimPrefix(basket, "http")) + `); w.onopen = () => done("opened"); w.onerror = () => done("refused"); })`,
				"write without CORS":            `fetch(` + chromiumtest.Quote(basket) + `, {method: "POST", mode: "no-cors", credentials: "include", body: '{"event":"e1","quantity":9}'}).then((r) => r.type === "opaque" ? "refused" : "answered")`,
				"log out":                       `fetch(` + chromiumtest.Quote(s.url+"/oauth-agent/logout") + `, {method: "POST", mode: "no-cors", credentials: "include"}).then((r) => r.type === "opaque" ? "refused" : "answered")`,
			} {
				if got := p.Eval(script); got != "refused" {
					t.Errorf("%s: %s", attempt, got)
				}
			}
			p.Eval(`(() => { const f = document.createElement("form"); f.method = "post"; f.enctype = "text/plain"; f.target = "f"; f.action = ` + chromiumtest.Quote(basket) + `; f.innerHTML = "<input name='{\"event\":\"e1\",\"quantity\":9,\"x\":\"' value='\"}'>"; document.body.append(f); return new Promise((done) => { document.querySelector("iframe[name=f]").onload = done; f.submit(); }); })()`)
			// What no page may read has been answered all the same: with a refusal.
			answered := answers()
			for _, a := range answered {
				if !strings.HasPrefix(a, "401 ") {
					t.Errorf("the gateway answered %s", a)
				}
			}
			if len(answered) < 6 {
				t.Errorf("too few requests came as far as the gateway: %v", answered)
			}
		})
	}
	// The session goes on, and nothing was put into the basket. The page itself may do all of this.
	own.Click("nav", "Basket")
	own.Sees("Your basket is empty.")
	if got := own.Eval(`fetch("/oauth-agent/session").then((r) => r.json()).then((s) => s.isLoggedIn)`); got != "true" {
		t.Errorf("the control: the page's own question is answered %s", got)
	}
	write := `fetch("/oauth-agent/session").then((r) => r.json()).then((s) => fetch("/api/shoppingbasket/basket", {method: "POST", headers: {"Content-Type": "application/json", "x-demo-csrf": s.csrf}, body: '{"event":"e1","quantity":0}'})).then((r) => r.status)`
	if got := own.Eval(write); got != "200" {
		t.Errorf("the control: what the page itself writes is answered %s", got)
	}
}

// answers collects, from now on, what the gateway answers to requests of the tab for an API or the agent, whether or not the
// page may know: "401 /path".
func (p tab) answers(gateway string) func() []string {
	var mu sync.Mutex
	paths, statuses := map[network.RequestID]string{}, map[network.RequestID]int64{}
	err := chromedp.Listen(p.Ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if path, ok := strings.CutPrefix(e.Request.URL, gateway); ok && (strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/oauth-agent/")) {
				paths[e.RequestID] = path
			}
		case *network.EventResponseReceivedExtraInfo: // which also tells of answers that CORS keeps from the page
			statuses[e.RequestID] = int64(e.StatusCode)
		}
	})
	if err != nil {
		p.T.Fatal(err)
	}
	return func() []string {
		p.Eval("1") // the browser has told all that came before this
		mu.Lock()
		defer mu.Unlock()
		var seen []string
		for id, path := range paths {
			if status, ok := statuses[id]; ok {
				seen = append(seen, fmt.Sprintf("%d %s", status, path))
			}
		}
		return seen
	}
}
