package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

// asGateway is the gateway's Authorization.
const asGateway = "Basic Z2F0ZXdheTpnYXRld2F5LXNlY3JldA=="

func newFeedIssuer(t *testing.T) (*authservertest.Issuer, string) {
	t.Helper()
	config := strings.Replace(machines, "clients:\n", `  - {name: feed, title: The feed, scopes: [{name: ssf, title: Hear revocations}]}
clients:
  - {id: third, secret: {demo: third-secret}, grant_types: [client_credentials], scopes: [ssf], introspects: [catalogue]}
  - {id: listener, secret: {demo: listener-secret}, grant_types: [client_credentials], scopes: [ssf]}
`, 1)
	issuer := authservertest.New(t, authservertest.Options{Config: config})
	return issuer, "Bearer " + tokenFor(t, issuer, "operator")
}

func newStream(t *testing.T, issuer *authservertest.Issuer) string {
	t.Helper()
	status, made, _ := call(t, "POST", issuer.URL+"/ssf/streams", asGateway,
		`{"delivery":{"method":"urn:ietf:rfc:8936"},"events_requested":["https://schemas.openid.net/secevent/caep/event-type/session-revoked"],"description":"replica-1"}`)
	id, _ := made["stream_id"].(string)
	if status != http.StatusCreated || id == "" || made["aud"] != "gateway" || made["iss"] != issuer.URL {
		t.Fatalf("a stream: %d %v", status, made)
	}
	if endpoint := made["delivery"].(map[string]any)["endpoint_url"]; endpoint != issuer.URL+"/ssf/streams/"+id+"/poll" {
		t.Errorf("it is polled at %v", endpoint)
	}
	return id
}

// TestFeed walks a revocation from the operator to a gateway and back: it is told, applied, and the operator sees that.
func TestFeed(t *testing.T) {
	issuer, operator := newFeedIssuer(t)
	id := newStream(t, issuer)
	poll := issuer.URL + "/ssf/streams/" + id + "/poll"
	reference := tokenFor(t, issuer, "batch")
	header := introspectionHeader(t, issuer, reference)
	keys, position := header.Get("Revocation-Keys"), header.Get("Revocation-Position")
	_, empty, _ := call(t, "POST", poll, asGateway, `{"returnImmediately":true}`)
	epoch, _ := empty["epoch"].(string)
	if strings.Count(keys, "=0") != 5 || position != epoch+".0" || epoch == "" {
		t.Fatalf("the introspection came with keys %q at %q; the feed stands at %v", keys, position, empty)
	}

	status, done, _ := call(t, "POST", issuer.Admin+"/admin/v1/revocations", operator, `{"token":"`+reference+`"}`)
	if status != http.StatusOK || done["sequence"] != 1.0 {
		t.Fatalf("revoking: %d %v", status, done)
	}
	_, told, _ := call(t, "POST", poll, asGateway, `{}`)
	sets, _ := told["sets"].(map[string]any)
	if len(sets) != 1 || sets[epoch+".1"] == nil || told["from"] != 0.0 || told["to"] != 1.0 {
		t.Fatalf("the gateway was told %v", told)
	}
	revocation := issuer.Admin + "/admin/v1/revocations/" + done["id"].(string)
	if _, before, _ := call(t, "GET", revocation, operator, ""); len(before["applied"].([]any)) != 0 {
		t.Errorf("before the gateway said so: %v", before)
	}
	call(t, "POST", poll, asGateway, `{"returnImmediately":true,"ack":["`+epoch+`.1"]}`)
	_, after, _ := call(t, "GET", revocation, operator, "")
	applied, _ := after["applied"].([]any)
	if len(applied) != 1 || applied[0].(map[string]any)["gateway"] != "replica-1" || applied[0].(map[string]any)["ms"] == nil {
		t.Errorf("after the gateway said so: %v", after)
	}
	_, gateways, _ := call(t, "GET", issuer.Admin+"/admin/v1/gateways", operator, "")
	list, _ := gateways["gateways"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["position"] != 1.0 || list[0].(map[string]any)["behind"] != 0.0 {
		t.Errorf("the gateways: %v", gateways)
	}
	if introspectionHeader(t, issuer, reference).Get("Revocation-Keys") != "" {
		t.Error("the keys of a revoked token are told")
	}
}

func introspectionHeader(t *testing.T, issuer *authservertest.Issuer, reference string) http.Header {
	t.Helper()
	status, _, header := call(t, "POST", issuer.URL+"/oauth/introspect", asGateway, "token="+reference)
	if status != http.StatusOK {
		t.Fatalf("introspection: %d", status)
	}
	return header
}

func TestSSFConfiguration(t *testing.T) {
	issuer, _ := newFeedIssuer(t)
	status, told, _ := call(t, "GET", issuer.URL+"/.well-known/ssf-configuration", "", "")
	if status != http.StatusOK || told["issuer"] != issuer.URL || told["configuration_endpoint"] != issuer.URL+"/ssf/streams" ||
		told["jwks_uri"] != issuer.URL+"/oauth/jwks" || told["spec_version"] != "1_0" {
		t.Errorf("%d %v", status, told)
	}
}

// TestWhoHearsTheFeed: gateways, by their secret or by a bearer token of the scope; and nobody else.
func TestWhoHearsTheFeed(t *testing.T) {
	issuer, operator := newFeedIssuer(t)
	id := newStream(t, issuer)
	for name, c := range map[string]struct {
		authorization string
		want          int
	}{
		"nobody":                  {"", http.StatusUnauthorized},
		"a wrong secret":          {"Basic Z2F0ZXdheTpndWVzcw==", http.StatusUnauthorized},
		"a client, not a gateway": {"Basic YmF0Y2g6YmF0Y2gtc2VjcmV0", http.StatusForbidden},
		"an operator":             {operator, http.StatusForbidden},
		"a bearer of nothing":     {"Bearer nothing", http.StatusUnauthorized},
	} {
		for _, r := range []struct{ method, path, body string }{
			{"POST", "/ssf/streams", `{"delivery":{"method":"urn:ietf:rfc:8936"}}`}, {"GET", "/ssf/streams?stream_id=" + id, ""},
			{"GET", "/ssf/status?stream_id=" + id, ""}, {"POST", "/ssf/verify", `{"stream_id":"` + id + `"}`},
			{"POST", "/ssf/streams/" + id + "/poll", `{"returnImmediately":true}`}, {"DELETE", "/ssf/streams?stream_id=" + id, ""},
		} {
			if status, body, _ := call(t, r.method, issuer.URL+r.path, c.authorization, r.body); status != c.want {
				t.Errorf("%s: %s %s is answered %d %v; want %d", name, r.method, r.path, status, body, c.want)
			}
		}
	}
	for _, r := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/ssf/streams?stream_id=" + id, "", 200}, {"GET", "/ssf/status?stream_id=" + id, "", 200}, {"GET", "/ssf/status", "", 404},
		{"POST", "/ssf/verify", `{"stream_id":"` + id + `","state":"x"}`, 204}, {"POST", "/ssf/verify", `{"stream_id":"st_x"}`, 404},
		{"POST", "/ssf/streams", `{"delivery":{"method":"urn:ietf:rfc:8935"}}`, 400}, {"POST", "/ssf/streams", `{`, 400},
		{"POST", "/ssf/streams/" + id + "/poll", `[]`, 400}, {"POST", "/ssf/streams/st_x/poll", `{"returnImmediately":true}`, 404},
		{"DELETE", "/ssf/streams?stream_id=" + id, "", 204}, {"DELETE", "/ssf/streams?stream_id=" + id, "", 404},
		{"POST", "/ssf/streams/" + id + "/poll", `{"returnImmediately":true}`, 404},
	} {
		if status, body, _ := call(t, r.method, issuer.URL+r.path, asGateway, r.body); status != r.want {
			t.Errorf("%s %s %s is answered %d %v; want %d", r.method, r.path, r.body, status, body, r.want)
		}
	}
}

// TestBearersOfTheFeed: a token hears the feed for its client, and not once it is revoked.
func TestBearersOfTheFeed(t *testing.T) {
	issuer, operator := newFeedIssuer(t)
	const create = `{"delivery":{"method":"urn:ietf:rfc:8936"}}`
	bearer := "Bearer " + tokenFor(t, issuer, "third")
	status, made, _ := call(t, "POST", issuer.URL+"/ssf/streams", bearer, create)
	if status != http.StatusCreated || made["aud"] != "third" {
		t.Fatalf("a stream of its own: %d %v", status, made)
	}
	if status, told, _ := call(t, "POST", issuer.URL+"/ssf/streams", "Bearer "+tokenFor(t, issuer, "listener"), create); status != http.StatusForbidden {
		t.Errorf("a client that introspects nothing: %d %v", status, told)
	}
	if status, told, _ := call(t, "POST", issuer.URL+"/ssf/streams/"+newStream(t, issuer)+"/poll", bearer, `{"returnImmediately":true}`); status != http.StatusNotFound {
		t.Errorf("the stream of another: %d %v", status, told)
	}
	call(t, "POST", issuer.Admin+"/admin/v1/revocations", operator, `{"everything":true}`)
	poll := issuer.URL + "/ssf/streams/" + made["stream_id"].(string) + "/poll"
	if status, told, _ := call(t, "POST", poll, bearer, `{"returnImmediately":true}`); status != http.StatusUnauthorized {
		t.Errorf("after everything was revoked: %d %v", status, told)
	}
	_, told, _ := call(t, "POST", poll, "Bearer "+tokenFor(t, issuer, "third"), `{"returnImmediately":true}`)
	if sets, _ := told["sets"].(map[string]any); len(sets) != 1 || told["from"] != 0.0 || told["to"] != 1.0 {
		t.Errorf("with a new token it is told %v", told)
	}
}

// TestFeedOfAClientThatPosts: who sends its secret in the form where there is one may send it by Basic where there is none.
func TestFeedOfAClientThatPosts(t *testing.T) {
	issuer, _ := newFeedIssuer(t)
	status, _, header := call(t, "POST", issuer.URL+"/oauth/introspect", "", url.Values{"token": {tokenFor(t, issuer, "batch")},
		"client_id": {"gateway"}, "client_secret": {"gateway-secret"}}.Encode())
	if status != http.StatusOK || header.Get("Revocation-Keys") == "" {
		t.Errorf("an introspection with the secret in the form: %d, keys %q", status, header.Get("Revocation-Keys"))
	}
	id := newStream(t, issuer)
	if status, told, _ := call(t, "POST", issuer.URL+"/ssf/streams/"+id+"/poll", asGateway, `{"returnImmediately":true}`); status != http.StatusOK {
		t.Errorf("a poll by Basic: %d %v", status, told)
	}
}

// TestTooManyStreams: a client has no more than the file says.
func TestTooManyStreams(t *testing.T) {
	issuer := authservertest.New(t, authservertest.Options{Config: machines + "feed: {streams_per_client: 2}\n"})
	newStream(t, issuer)
	second := newStream(t, issuer)
	create := func() (int, map[string]any) {
		status, told, _ := call(t, "POST", issuer.URL+"/ssf/streams", asGateway, `{"delivery":{"method":"urn:ietf:rfc:8936"}}`)
		return status, told
	}
	if status, told := create(); status != http.StatusConflict || told["error"] != "too_many_streams" {
		t.Errorf("the third: %d %v", status, told)
	}
	call(t, "DELETE", issuer.URL+"/ssf/streams?stream_id="+second, asGateway, "")
	if status, told := create(); status != http.StatusCreated {
		t.Errorf("after one has ended: %d %v", status, told)
	}
}

// TestIdempotencyKey: what comes with a key is carried out once.
func TestIdempotencyKey(t *testing.T) {
	issuer, operator := newFeedIssuer(t)
	revoke := func(key, body string) (int, map[string]any) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "POST", issuer.Admin+"/admin/v1/revocations", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", operator)
		request.Header["Idempotency-Key"] = []string{key}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		var members map[string]any
		if err := json.NewDecoder(response.Body).Decode(&members); err != nil {
			t.Fatal(err)
		}
		if media := response.Header.Get("Content-Type"); response.StatusCode != 200 && media != "application/problem+json" {
			t.Errorf("an error is %s", media)
		}
		return response.StatusCode, members
	}
	_, first := revoke("key-1", `{"client":"batch"}`)
	status, again := revoke("key-1", `{"client":"batch"}`)
	if status != 200 || again["id"] != first["id"] || again["sequence"] != first["sequence"] || again["generation"] != 1.0 {
		t.Errorf("the second time: %d %v; the first was %v", status, again, first)
	}
	if status, other := revoke("key-2", `{"client":"batch"}`); status != 200 || other["generation"] != 2.0 {
		t.Errorf("with another key: %d %v", status, other)
	}
	if status, problem := revoke("key-1", `{"client":"gateway"}`); status != 422 || problem["error"] != "idempotency_key_reused" || problem["status"] != 422.0 {
		t.Errorf("the key for something else: %d %v", status, problem)
	}
	for _, bad := range []string{"", "with space", strings.Repeat("k", 256), "ü"} {
		if status, _ := revoke(bad, `{"client":"batch"}`); status != 400 {
			t.Errorf("the key %q: %d", bad, status)
		}
	}
}

// TestLeaked: a list ends what it names, once, however often it is sent.
func TestLeaked(t *testing.T) {
	issuer, operator := newFeedIssuer(t)
	leaked := issuer.Admin + "/admin/v1/revocations/leaked"
	one, two, kept := tokenFor(t, issuer, "batch"), tokenFor(t, issuer, "batch"), tokenFor(t, issuer, "batch")
	list := `{"tokens":["` + one + `","` + two + `","` + one + `","pgat_unknown"]}`
	want := []struct{ revoked, ended, unknown float64 }{{2, 1, 1}, {0, 3, 1}}
	for n, w := range want {
		status, told, _ := call(t, "POST", leaked, operator, list)
		if status != 200 || told["revoked"] != w.revoked || told["ended"] != w.ended || told["unknown"] != w.unknown {
			t.Errorf("time %d: %d %v, want %v", n, status, told, w)
		}
	}
	for reference, alive := range map[string]bool{one: false, two: false, kept: true} {
		if got := introspect(t, issuer, reference)["active"]; got != alive {
			t.Errorf("active is %v, want %v", got, alive)
		}
	}
	for _, bad := range []string{`{}`, `{"tokens":[]}`, `{"tokens":["a"],"more":1}`, `[]`, ``, `{"tokens":[` + strings.Repeat(`"a",`, 1000) + `"a"]}`} {
		if status, problem, _ := call(t, "POST", leaked, operator, bad); status != 400 || problem["detail"] == nil {
			t.Errorf("%.40s is answered %d %v", bad, status, problem)
		}
	}
}
