package plugintest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// fault is a mistake a gateway can make, and the cases that must see it.
type fault struct {
	name    string
	binding reverseProxy
	says    string   // stands in one of the failures; "": any
	fails   []string // names of cases, or patterns of path.Match
}

var faults = []fault{
	{name: "passes everything", binding: wrapped(func(_ *core, next http.Handler) http.Handler { return next }),
		fails: []string{"token/*", "narrowing/*", "policy/a *", "policy/an *", "policy/the *", "policy/HEAD *", "stepup/*",
			"headers/identity *", "headers/a configured *", "headers/Connection*", "path/*", "jwt/*",
			"stream/a WebSocket without a token is refused", "cache/never served past exp", "issuer/*"}},
	{name: "refuses everything", binding: wrapped(refusesEverything),
		fails: []string{"policy/a method override is not believed", "headers/Accept*", "headers/a 16 kB *",
			"headers/the issuer*", "keys/*", "stream/server*", "stream/WebSocket*", "cache/entries*"}},
	{name: "starts whatever the config", binding: reverseProxy{lenient: true}, says: "the gateway started",
		fails: []string{"config/[^t]*", "config/two*"}},
	{name: "refuses every config", binding: reverseProxy{config: func(c *gateway.Config) { c.Routes = nil }},
		says: "refused the suite's config", fails: []string{"config/the suite's own is accepted"}},
	{name: "keeps identity headers", binding: wrapped(keepsIdentityHeaders), says: "reached the upstream",
		fails: []string{"headers/identity *", "headers/a configured *", "headers/only a WebSocket*"}},
	{name: "forwards the issuer's words", binding: wrapped(addsRevocationKeys), says: "reached the upstream",
		fails: []string{"headers/the issuer's answer*"}},
	{name: "forgets to swap", binding: wrapped(forgetsToSwap),
		fails: []string{"token/the upstream sees only*", "policy/an open route*", "stream/WebSocket*"}},
	{name: "passes the reference on beside", binding: wrapped(passesReferenceBeside), says: "the reference reached",
		fails: []string{"token/the upstream sees only*", "token/scheme*", "stream/WebSocket*"}},
	{name: "one cache entry for a reference", binding: wrapped(cachesByReference),
		fails: []string{"narrowing/one reference*", "narrowing/only the route's scopes", "narrowing/scope is judged*", "stepup/*",
			"policy/the most specific*"}},
	{name: "caches for ever", binding: wrapped(cachesForEver),
		fails: []string{"cache/revoked*", "cache/never served*", "cache/no-store*", "cache/max-age=0*"}},
	{name: "one cache for all users", binding: wrapped(cachesByRoute), says: "swapped for a token of",
		fails: []string{"cache/entries of two users*"}},
	{name: "remembers failures", binding: wrapped(remembersRefusals), fails: []string{"cache/a failure is not*"}},
	{name: "remembers nothing", binding: wrapped(remembersNothing), says: "",
		fails: []string{"cache/a hit asks nobody", "miss/100 at once*", "miss/an unknown*", "miss/a flood*", "keys/unknown*"}},
	{name: "waits with the first client", binding: wrapped(waitsWithTheFirst), says: "one who stayed",
		fails: []string{"miss/a client that leaves*"}},
	{name: "keeps the first keys", binding: reverseProxy{transport: func() http.RoundTripper { return &firstKeys{} }},
		says: "failed around the rotation", fails: []string{"keys/rotation*"}},
	{name: "calls every failure 401", binding: wrapped(callsAll401), says: "answered 401",
		fails: []string{"issuer/a wrong*", "issuer/too *", "issuer/down*", "issuer/overloaded*", "issuer/unusable*"}},
	{name: "the field's usual swap", binding: wrapped(usualSwap),
		fails: []string{"jwt/*", "narrowing/one *", "narrowing/only *", "issuer/unusable answer: HTML",
			"issuer/unusable answer: active*", "issuer/unusable answer: broken JSON", "token/garbage*", "token/a JWT*"}},
	{name: "judges a cleaned path", binding: wrapped(cleansPath), fails: []string{"path/not in normal form*"}},
	{name: "judges every method as GET", binding: wrapped(judgesAsGet),
		fails: []string{"policy/a method without*", "narrowing/only *", "narrowing/scope is judged*"}},
	{name: "asks for one scope of all", binding: reverseProxy{config: oneOfAll}, fails: []string{"narrowing/all of*"}},
	{name: "asks for all scopes of any", binding: reverseProxy{config: allOfAny}, fails: []string{"narrowing/any of*"}},
	{name: "forgets step-up", binding: reverseProxy{config: forgetsStepUp}, fails: []string{"stepup/*"}},
	{name: "takes the scheme literally", binding: wrapped(literalScheme), fails: []string{"token/scheme*"}},
	{name: "believes a method override", binding: wrapped(believesOverride), fails: []string{"policy/a method override*"}},
	{name: "collects the answer", binding: wrapped(collects), fails: []string{"stream/server*", "stream/WebSocket*"}},
	{name: "writes its own Accept", binding: wrapped(ownAccept), says: "arrived as", fails: []string{"headers/Accept*"}},
	{name: "cuts long headers", binding: wrapped(cutsLongHeaders), fails: []string{"headers/a 16 kB*"}},
	{name: "logs the token", binding: wrapped(logsToken), says: "log holds a reference",
		fails: []string{"token/the upstream*", "cache/a hit*", "miss/*"}},
	{name: "logs the phantom token", binding: wrapped(logsPhantomToken), says: "log holds a phantom token",
		fails: []string{"token/the upstream*"}},
}

func wrapped(wrap func(*core, http.Handler) http.Handler) reverseProxy {
	return reverseProxy{wrap: wrap}
}

func refusesEverything(*core, http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
}

// passing is authorized with a change of its own between Authorize and the
// upstream.
func passing(c *core, next http.Handler, change func(w http.ResponseWriter, r *http.Request, o gateway.Outcome)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outcome := c.Authorize(r)
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		change(w, r, outcome)
		next.ServeHTTP(w, r)
	})
}

func keepsIdentityHeaders(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		kept := r.Header.Clone()
		o.Apply(r)
		kept["Authorization"] = r.Header["Authorization"]
		r.Header = kept
	})
}

func addsRevocationKeys(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		o.Apply(r)
		r.Header.Set("Revocation-Keys", "k=1")
	})
}

func forgetsToSwap(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(http.ResponseWriter, *http.Request, gateway.Outcome) {})
}

func passesReferenceBeside(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		reference := r.Header.Get("Authorization")
		o.Apply(r)
		r.Header.Set("Original-Authorization", reference)
	})
}

func ownAccept(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		o.Apply(r)
		r.Header.Set("Accept", "application/jwt")
	})
}

func believesOverride(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		if method := r.Header.Get("X-Http-Method-Override"); method != "" {
			r.Method = method
		}
		o.Apply(r)
	})
}

func cutsLongHeaders(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		o.Apply(r)
		value := r.Header.Get("Authorization")
		r.Header.Set("Authorization", value[:min(len(value), 8<<10)])
	})
}

func logsToken(c *core, next http.Handler) http.Handler {
	plain := authorized(c.Gateway, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.logger.Debug("request", "authorization", r.Header.Get("Authorization"))
		plain.ServeHTTP(w, r)
	})
}

func logsPhantomToken(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		o.Apply(r)
		c.logger.Debug("forwarding", "headers", r.Header)
	})
}

// remembering keeps the Authorization header it once got for a key, for ever.
func remembering(c *core, next http.Handler, key func(r *http.Request) string) http.Handler {
	return rememberingIn(new(sync.Map), c, next, key)
}

func rememberingIn(kept *sync.Map, c *core, next http.Handler, key func(r *http.Request) string) http.Handler {
	plain := passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		k := key(r)
		o.Apply(r)
		kept.Store(k, r.Header.Get("Authorization"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if value, ok := kept.Load(key(r)); ok {
			r.Header.Set("Authorization", value.(string))
			next.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

func cachesByReference(c *core, next http.Handler) http.Handler {
	return remembering(c, next, func(r *http.Request) string { return r.Header.Get("Authorization") })
}

func cachesForEver(c *core, next http.Handler) http.Handler {
	return remembering(c, next, func(r *http.Request) string {
		return r.Method + r.URL.Path + r.Header.Get("Authorization")
	})
}

func cachesByRoute(c *core, next http.Handler) http.Handler {
	return remembering(c, next, func(r *http.Request) string { return r.Method + r.URL.Path })
}

func remembersRefusals(c *core, next http.Handler) http.Handler {
	var kept sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value, ok := kept.Load(r.Header.Get("Authorization"))
		if !ok {
			value = c.Authorize(r)
			kept.Store(r.Header.Get("Authorization"), value)
		}
		outcome := value.(gateway.Outcome)
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(w, r)
	})
}

func remembersNothing(c *core, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := gateway.New(c.config, gateway.Options{Logger: c.logger})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer g.Close()
		authorized(g, next).ServeHTTP(w, r)
	})
}

// waitsWithTheFirst has all who come with a reference wait for the one who
// came first with it, and share that one's fate.
func waitsWithTheFirst(c *core, next http.Handler) http.Handler {
	var flights sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flight, _ := flights.LoadOrStore(r.Header.Get("Authorization"),
			sync.OnceValue(func() gateway.Outcome { return c.Authorize(r) }))
		outcome := flight.(func() gateway.Outcome)()
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(w, r)
	})
}

func callsAll401(c *core, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outcome := c.Authorize(r)
		if refusal := outcome.Refusal(); refusal != nil {
			changed := *refusal
			if changed.Status >= 500 {
				changed.Status, changed.Code, changed.Challenge = 401, "invalid_token", `Bearer error="invalid_token"`
			}
			changed.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(w, r)
	})
}

// usualSwap is what plugins in the field do: ask about the token, and forward
// whatever body a 200 carries.
func usualSwap(c *core, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		form := url.Values{"token": {token}}
		ask, err := http.NewRequest("POST", c.config.Issuer.Issuer+"/oauth/introspect", strings.NewReader(form.Encode()))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		ask.Header.Set("Accept", "application/jwt")
		ask.SetBasicAuth(url.QueryEscape(c.config.Issuer.ClientID), url.QueryEscape(string(c.config.Issuer.ClientSecret)))
		answer, err := http.DefaultClient.Do(ask)
		if err != nil || answer.StatusCode != http.StatusOK {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		defer answer.Body.Close()
		jwt, err := io.ReadAll(answer.Body)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Set("Authorization", fmt.Sprintf("Bearer %s", jwt))
		next.ServeHTTP(w, r)
	})
}

// cleansPath judges what the path would be after cleaning, and forwards the
// path as it came.
func cleansPath(c *core, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		judged := r.Clone(r.Context())
		decoded, _ := url.PathUnescape(r.URL.Path)
		cleaned := path.Clean(strings.NewReplacer(`\`, "/", ";", "", "\x00", "", "\r", "", "\n", "", "\x7f", "").Replace(decoded))
		judged.URL = &url.URL{Path: cleaned}
		outcome := c.Authorize(judged)
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(w, r)
	})
}

func judgesAsGet(c *core, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		r.Method = http.MethodGet
		outcome := c.Authorize(r)
		r.Method = method
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(w, r)
	})
}

func literalScheme(c *core, next http.Handler) http.Handler {
	plain := authorized(c.Gateway, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

// collects reads the whole answer before it sends any of it.
func collects(c *core, next http.Handler) http.Handler {
	plain := authorized(c.Gateway, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		plain.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	})
}

func oneOfAll(c *gateway.Config) {
	for i := range c.Routes {
		if s := &c.Routes[i].Scopes; len(s.All) > 1 {
			s.Any, s.All = s.All, nil
		}
	}
}

func allOfAny(c *gateway.Config) {
	for i := range c.Routes {
		if s := &c.Routes[i].Scopes; len(s.Any) > 0 {
			s.All, s.Any = s.Any, nil
		}
	}
}

func forgetsStepUp(c *gateway.Config) {
	for i := range c.Routes {
		c.Routes[i].ACR, c.Routes[i].MaxAge = nil, 0
	}
}

// firstKeys answers every fetch of the keys with the first answer there was.
type firstKeys struct {
	mu   sync.Mutex
	body []byte
}

func (k *firstKeys) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/jwks") {
		return http.DefaultTransport.RoundTrip(r)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.body == nil {
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		if k.body, err = io.ReadAll(answer.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(k.body)), Request: r}, nil
}
