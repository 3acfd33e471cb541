package eventcatalog_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/phantomgate/phantomgate/testbed/apis/apitest"
	"github.com/phantomgate/phantomgate/testbed/apis/eventcatalog"
)

// api is an eventcatalog that believes an issuer of the test's own.
type api struct{ *apitest.API }

func newAPI(t *testing.T) api {
	t.Helper()
	issuer := apitest.NewIssuer(t)
	handler, err := eventcatalog.New(eventcatalog.Config{Issuer: issuer.Name, JWKSURL: issuer.JWKSURL})
	if err != nil {
		t.Fatal(err)
	}
	return api{issuer.Serve(t, handler)}
}

// call sends a request with a token of these scopes.
func (a api) call(t *testing.T, method, path, scope, body string) (int, string) {
	t.Helper()
	now := time.Now()
	token := a.Sign(t, jwt.MapClaims{
		"iss": a.Name, "sub": "u-1", "aud": "eventcatalog", "client_id": "mobile", "scope": scope, "region": "eu",
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "t-1",
	})
	return a.Call(t, method, path, token, body)
}

const (
	events   = "/api/eventcatalog/events"
	whoami   = "/api/eventcatalog/whoami"
	newEvent = `{"name":"Tea at Noon","venue":"Garden","date":"2027-07-01","price":350,"currency":"EUR"}`
)

func TestEachOperationAsksForItsScope(t *testing.T) {
	a := newAPI(t)
	for _, c := range []struct {
		method, path, scope, body string
		want                      int
	}{
		{"GET", events, "eventcatalog.read", "", 200},
		{"GET", events, "eventcatalog.write", "", 403},
		{"HEAD", events, "eventcatalog.write", "", 403},
		{"GET", whoami, "eventcatalog.read", "", 200},
		{"GET", whoami, "eventcatalog.write", "", 403},
		{"POST", events, "eventcatalog.read", newEvent, 403},
		{"POST", events, "eventcatalog.write", newEvent, 201},
		{"DELETE", events, "eventcatalog.read eventcatalog.write", "", 405},
		{"GET", "/", "eventcatalog.read", "", 404},
	} {
		if got, body := a.call(t, c.method, c.path, c.scope, c.body); got != c.want {
			t.Errorf("%s %s with %s: status %d, want %d: %s", c.method, c.path, c.scope, got, c.want, body)
		}
	}
	if got, body := a.Call(t, "GET", events, "", ""); got != 401 {
		t.Errorf("without a token: status %d, want 401: %s", got, body)
	}
}

func TestCatalogue(t *testing.T) {
	a := newAPI(t)
	list := func() []eventcatalog.Event {
		_, body := a.call(t, "GET", events, "eventcatalog.read", "")
		var got []eventcatalog.Event
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := len(list()); got != 12 {
		t.Errorf("%d events, want a dozen", got)
	}
	_, body := a.call(t, "POST", events, "eventcatalog.write", newEvent)
	var added eventcatalog.Event
	if err := json.Unmarshal([]byte(body), &added); err != nil {
		t.Fatal(err)
	}
	after := list()
	ids := map[string]bool{}
	for _, e := range after {
		ids[e.ID] = true
	}
	if len(after) != 13 || len(ids) != 13 || after[12] != added || added.Name != "Tea at Noon" || added.Price != 350 {
		t.Errorf("%+v was not added to %+v", added, after)
	}
}

func TestBadEventsAreRefused(t *testing.T) {
	a := newAPI(t)
	for name, c := range map[string]struct {
		body string
		want int
		says string
	}{
		"not JSON":        {`name=x`, 400, "not understood"},
		"a list":          {`[]`, 400, "not understood"},
		"an empty object": {`{}`, 400, "venue"},
		"unknown member":  {strings.Replace(newEvent, `"name"`, `"admin":true,"name"`, 1), 400, "admin"},
		"two objects":     {newEvent + newEvent, 400, "follows"},
		"its own id":      {strings.Replace(newEvent, `"name"`, `"id":"e1","name"`, 1), 400, "id"},
		"no name":         {strings.Replace(newEvent, "Tea at Noon", "  ", 1), 400, "name"},
		"control in name": {strings.Replace(newEvent, "Tea at Noon", `a\u0000b`, 1), 400, "name"},
		"no such day":     {strings.Replace(newEvent, "2027-07-01", "2027-02-30", 1), 400, "date"},
		"price below 0":   {strings.Replace(newEvent, "350", "-1", 1), 400, "price"},
		"price in euros":  {strings.Replace(newEvent, "350", "3.50", 1), 400, "price"},
		"other currency":  {strings.Replace(newEvent, "EUR", "XXX", 1), 400, "currency"},
		"too large":       {strings.Replace(newEvent, "Tea", strings.Repeat("Tea", 2000), 1), 413, "4096"},
	} {
		t.Run(name, func(t *testing.T) {
			got, body := a.call(t, "POST", events, "eventcatalog.write", c.body)
			var refusal struct {
				Error string `json:"error"`
				Why   string `json:"error_description"`
			}
			if err := json.Unmarshal([]byte(body), &refusal); err != nil {
				t.Fatalf("%q is not JSON: %v", body, err)
			}
			if got != c.want || !strings.Contains(refusal.Why, c.says) {
				t.Errorf("got %d %q, want %d and word of %q", got, refusal.Why, c.want, c.says)
			}
		})
	}
	if _, body := a.call(t, "GET", events, "eventcatalog.read", ""); strings.Count(body, `"id"`) != 12 {
		t.Errorf("a refused event was added: %s", body)
	}
}

func TestWhoami(t *testing.T) {
	a := newAPI(t)
	_, body := a.call(t, "GET", whoami, "eventcatalog.read", "")
	var got struct {
		Claims  map[string]any    `json:"claims"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Claims["aud"] != "eventcatalog" || got.Claims["region"] != "eu" || got.Claims["scope"] != "eventcatalog.read" {
		t.Errorf("claims: %v", got.Claims)
	}
	if auth := got.Headers["Authorization"]; !strings.HasPrefix(auth, "Bearer eyJ… ") || strings.Contains(body, "eyJh") {
		t.Errorf("the token is not masked: %q", auth)
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := eventcatalog.New(eventcatalog.Config{}); err == nil || !strings.Contains(err.Error(), "Issuer") {
		t.Errorf("an empty config: %v", err)
	}
}
