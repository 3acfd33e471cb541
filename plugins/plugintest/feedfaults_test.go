package plugintest

import (
	"net/http"
	"sync"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// feedFaults are mistakes with the revocation feed. Those in the core's own
// parts are in plugins/controls_feed_test.go.
var feedFaults = []fault{
	{name: "caches for ever, whatever the feed says", binding: wrapped(cachesForEver),
		fails: []string{"feed/a revoked *", "feed/silent: the issuer*", "feed/silent, and *", "feed/failing*", "feed/what comes twice*",
			"feed/an answer that cannot*", "feed/* everything is asked for again"}},
	{name: "hears, and remembers nothing", binding: wrapped(remembersNothing),
		fails: []string{"feed/a revocation leaves*", "feed/another tenant*", "feed/a token of after*", "feed/100 at once*", "feed/an answer that another's*"}},
	{name: "one cache entry for a reference, with the feed", binding: wrapped(cachesByReference), fails: []string{"feed/policy*"}},
	{name: "forgets where an answer stood", binding: reverseProxy{transport: func() http.RoundTripper { return unfollowed{} }},
		says: "answered 200; want 401", fails: []string{"feed/an answer that a revocation*"}},
	{name: "forwards what the cache is kept by", binding: wrapped(addsRevocationKeys), says: "reached the upstream",
		fails: []string{"feed/nothing of it*"}},
	{name: "keeps its cache over a restart", binding: wrapped(keepsItsCache()), says: "answered 200",
		fails: []string{"feed/a restarted*"}},
	{name: "waits with the first client, whoever comes later", binding: wrapped(waitsWithTheFirst),
		fails: []string{"feed/silent: an answer*"}},
	{name: "one staleness for all routes", binding: reverseProxy{config: oneStaleness}, says: "refused: 503",
		fails: []string{"feed/a route may*"}},
}

// unfollowed takes from the issuer's answers what a cache follows them by.
type unfollowed struct{}

func (unfollowed) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		answer.Header.Del("Revocation-Keys")
	}
	return answer, err
}

// keepsItsCache remembers what it once got for all gateways that are started.
func keepsItsCache() func(*core, http.Handler) http.Handler {
	var kept sync.Map
	return func(c *core, next http.Handler) http.Handler {
		return rememberingIn(&kept, c, next, func(r *http.Request) string { return r.Header.Get("Authorization") })
	}
}

func oneStaleness(c *gateway.Config) {
	for i := range c.Routes {
		c.Routes[i].MaxStaleness = 0
	}
}
