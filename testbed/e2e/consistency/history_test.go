package consistency

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// history is what everybody saw.
type history struct {
	world *rptest.World
	start time.Time
	// asks answers an introspection; a control has one that remembers.
	asks func(h *history, t *testing.T, name string) bool

	mu         sync.Mutex
	operations []porcupine.Operation
	tokens     []token // that anybody may ask about
	refreshes  []refreshable
}

// refreshable is a grant with its newest refresh reference, which one goes and takes.
type refreshable struct {
	app       rptest.App
	grant     string
	reference string
	user      string
	session   string
}

// introspects asks the issuer.
func introspects(h *history, t *testing.T, name string) bool { return h.world.Active(t, name) }

// observe runs one operation and writes it down.
func (h *history) observe(client int, in input, do func() output) output {
	call := time.Since(h.start)
	out := do()
	h.note(client, in, out, call)
	return out
}

// note writes down what was asked at a moment and is answered now. A new token is there for the others from then on.
func (h *history) note(client int, in input, out output, call time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answered := time.Since(h.start)
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call.Nanoseconds(), Return: answered.Nanoseconds()})
	if out.made.name != "" {
		out.made.answered = answered
		h.tokens = append(h.tokens, out.made)
	}
}

// worker is one of those who act. Each has a browser in which one person logs in.
type worker struct {
	*history
	t       *testing.T
	id      int
	random  *rand.Rand
	browser *browser.Browser
	person  string
}

func (h *history) worker(t *testing.T, seed uint64, id int) *worker {
	t.Helper()
	w := &worker{history: h, t: t, id: id, random: rand.New(rand.NewPCG(seed, uint64(id))), browser: h.world.Browser(t), person: []string{"alice", "bob"}[id%2]}
	w.browser.MaxPages = 20 // others revoke while it logs in
	return w
}

func (w *worker) run(steps int) {
	for range steps {
		switch n := w.random.IntN(100); {
		case n < 10:
			w.machine()
		case n < 22:
			w.login()
		case n < 70:
			w.introspect()
		case n < 80:
			w.refresh()
		case n < 86:
			w.exchange()
		default:
			w.revoke()
		}
	}
}

func (w *worker) machine() token {
	out := w.observe(w.id, input{kind: "issue"}, func() output {
		reply := w.world.Post(w.t, "/oauth/token", rptest.Job(), rptest.Form("grant_type", "client_credentials"))
		name := reply.Text("access_token")
		return made(reply.Status, token{name: name, reaches: reachesOf("job", "", "", name, name), grant: name})
	})
	return out.made
}

// made is an answer with a new token, unless there was none.
func made(status int, m token) output {
	if status != http.StatusOK {
		return output{}
	}
	return output{ok: true, made: m}
}

// login is the whole walk; whoever has a session is not asked for a password.
func (w *worker) login() {
	app := rptest.Other()
	var next refreshable
	w.observe(w.id, input{kind: "issue"}, func() output {
		asking := app.Ask("openid offline_access catalogue.read basket.read")
		answer := w.world.LogIn(w.t, w.browser, w.person, asking)
		reply := w.world.Post(w.t, "/oauth/token", app, asking.Redemption(answer.Get("code")))
		if reply.Status != http.StatusOK {
			return output{}
		}
		name, session := reply.Text("access_token"), sessionOf(w.t, reply.Text("id_token"))
		next = refreshable{app, name, reply.Text("refresh_token"), w.person, session}
		return made(reply.Status, token{name: name, reaches: reachesOf(app.ID, w.person, session, name, name), grant: name})
	})
	if next.reference != "" {
		w.mu.Lock()
		w.refreshes = append(w.refreshes, next)
		w.mu.Unlock()
	}
}

func sessionOf(t *testing.T, idToken string) string {
	t.Helper()
	var claims struct {
		Session string `json:"sid"`
	}
	parts := strings.Split(idToken, ".")
	body, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.Session == "" {
		t.Errorf("an ID token without a session: %v", err)
	}
	return claims.Session
}

// one picks a token, mostly a young one: the old ones are dead.
func (w *worker) one() (token, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tokens) == 0 {
		return token{}, false
	}
	young := w.tokens[max(0, len(w.tokens)-12):]
	return young[w.random.IntN(len(young))], true
}

func (w *worker) introspect() {
	if picked, ok := w.one(); ok {
		w.observe(w.id, input{kind: "introspect", token: picked.name}, func() output { return output{ok: w.asks(w.history, w.t, picked.name)} })
	}
}

// refresh takes a refresh reference away from everybody else: what races for one is another test's part.
func (w *worker) refresh() {
	w.mu.Lock()
	if len(w.refreshes) == 0 {
		w.mu.Unlock()
		return
	}
	i := w.random.IntN(len(w.refreshes))
	r := w.refreshes[i]
	w.refreshes = append(w.refreshes[:i:i], w.refreshes[i+1:]...)
	w.mu.Unlock()
	out := w.observe(w.id, input{kind: "refresh", grant: r.grant}, func() output {
		reply := w.world.Refresh(w.t, r.app, r.reference)
		r.reference = reply.Text("refresh_token")
		name := reply.Text("access_token")
		return made(reply.Status, token{name: name, reaches: reachesOf(r.app.ID, r.user, r.session, r.grant, name), grant: r.grant})
	})
	if out.ok {
		w.mu.Lock()
		w.refreshes = append(w.refreshes, r)
		w.mu.Unlock()
	}
}

// exchange has the basket's service exchange the phantom token that it was called with.
func (w *worker) exchange() {
	picked, ok := w.one()
	if !ok {
		return
	}
	phantom := w.world.Post(w.t, "/oauth/introspect", rptest.BasketGateway(), rptest.Form("token", picked.name), "Accept", "application/jwt")
	if phantom.Status != http.StatusOK {
		return // dead, or a machine's
	}
	w.observe(w.id, input{kind: "exchange", token: picked.name}, func() output {
		reply := w.world.Post(w.t, "/oauth/token", rptest.BasketAPI(), rptest.Form("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange",
			"subject_token", phantom.Body, "subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "audience", "discount"))
		return output{ok: reply.Status == http.StatusOK}
	})
}

// revoke ends something, the wide reaches seldom.
func (w *worker) revoke() {
	picked, ok := w.one()
	if !ok {
		return
	}
	if reach, target := w.family(); reach != "" && w.random.IntN(8) == 0 {
		w.end(reach, target)
		return
	}
	w.end(w.choose(picked))
}

// family is a grant, named by a refresh reference that somebody else may be using just now.
func (w *worker) family() (reach, target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.refreshes) == 0 {
		return "", ""
	}
	r := w.refreshes[w.random.IntN(len(w.refreshes))]
	return "grant " + r.grant, `{"token":"` + r.reference + `"}`
}

// end has an operator revoke.
func (w *worker) end(reach, target string) {
	w.endAs(w.world.Post(w.t, "/oauth/token", rptest.Operator(), rptest.Form("grant_type", "client_credentials")).Text("access_token"), reach, target)
}

// endAs has the operator who has this token revoke.
func (w *worker) endAs(operator, reach, target string) (id string) {
	w.observe(w.id, input{kind: "revoke", reach: reach}, func() output {
		reply := w.world.Operate(w.t, operator, http.MethodPost, "/admin/v1/revocations", target)
		if reply.Status != http.StatusOK && reply.Status != http.StatusUnauthorized { // everything: the operator's token too
			w.t.Errorf("revoking %s: %d %s", reach, reply.Status, reply.Body)
		}
		id = reply.Text("id")
		return output{ok: reply.Status == http.StatusOK}
	})
	return id
}

func (w *worker) choose(picked token) (reach, target string) {
	all := picked.reaches
	switch n := w.random.IntN(20); {
	case n == 0:
		return "everything", `{"everything":true}`
	case n == 1:
		return "tenant", `{"tenant":"default"}`
	case n < 4 || len(all) == 5:
		if n%2 == 0 && len(all) == 5 {
			return all[2], `{"client":"` + strings.TrimPrefix(all[2], "client ") + `"}`
		}
		return picked.name, `{"token":"` + picked.name + `"}`
	case n < 6:
		return all[2], `{"client":"` + strings.TrimPrefix(all[2], "client ") + `"}`
	case n < 8:
		return all[3], `{"user":"` + strings.TrimPrefix(all[3], "user ") + `"}`
	case n < 11:
		return all[4], `{"user":"` + strings.TrimPrefix(all[3], "user ") + `","client":"` + strings.TrimPrefix(all[2], "client ") + `"}`
	case n < 14:
		return all[5], `{"session":"` + strings.TrimPrefix(all[5], "session ") + `"}`
	default:
		return picked.name, `{"token":"` + picked.name + `"}`
	}
}
