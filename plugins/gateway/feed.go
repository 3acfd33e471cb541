package gateway

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/phantomtoken"
)

// heard tells whether the issuer has a revocation feed that is listened to.
func (i Issuer) heard() bool { return !i.NoFeed && (!i.foreign() || i.FeedEndpoint != "") }

// longestMaxAge is how long a token may be cached.
func (i Issuer) longestMaxAge() time.Duration {
	switch {
	case !i.heard():
		return longestMaxAgeUnheard
	case i.foreign():
		return longestMaxAgeForeign
	}
	return longestMaxAge
}

// validateFeed reports what is said of a feed that is not there, and bounds that are none.
func validateFeed(c Config, fault func(field, format string, args ...any)) {
	i := c.Issuer
	if i.Answer != "" && !slices.Contains(phantomtoken.Answers(), phantomtoken.Answer(i.Answer)) {
		return // whether it is foreign cannot be said
	}
	missing := "issuer.noFeed turns off"
	if i.foreign() {
		missing = "a foreign issuer has only with issuer.feedEndpoint"
		if i.NoFeed {
			fault("issuer.noFeed", "goes without saying for a foreign issuer; remove it, and issuer.feedEndpoint if there is one")
		}
		validateForeignFeed(i, fault)
	} else {
		onlyForeignFeed(i, fault)
	}
	if i.FeedEndpoint != "" && !i.heard() && !i.foreign() {
		fault("issuer.feedEndpoint", "is of the revocation feed, which %s; remove it", missing)
	}
	longest := i.longestMaxAge()
	staleness := func(field string, d Duration) {
		switch {
		case d != 0 && !i.heard():
			fault(field, "is about the revocation feed, which %s; remove it", missing)
		case d < 0 || time.Duration(d) > longest:
			fault(field, "must be above zero and at most %s, which is as long as anything is cached", longest)
		}
	}
	staleness("cache.maxStaleness", c.Cache.MaxStaleness)
	for n, route := range c.Routes {
		field := fmt.Sprintf("routes[%d].maxStaleness", n)
		if route.Open && route.MaxStaleness != 0 {
			fault(field, "an open route asks for no token; remove this, or remove open")
			continue
		}
		staleness(field, route.MaxStaleness)
	}
}

// validateForeignFeed reports what is missing of a foreign issuer's feed, or said of none.
func validateForeignFeed(i Issuer, fault func(field, format string, args ...any)) {
	for _, a := range []struct{ field, value string }{
		{"issuer.feedTokenEndpoint", i.FeedTokenEndpoint}, {"issuer.feedVerificationEndpoint", i.FeedVerificationEndpoint},
	} {
		switch {
		case i.FeedEndpoint != "" && a.value == "":
			fault(a.field, "missing; a foreign issuer's feed needs it, and its metadata tells it")
		case i.FeedEndpoint == "" && a.value != "":
			fault(a.field, "is of the revocation feed, which a foreign issuer has only with issuer.feedEndpoint; add that, or remove this")
		}
	}
	if i.FeedScope != "" && i.FeedEndpoint == "" {
		fault("issuer.feedScope", "is of the revocation feed, which a foreign issuer has only with issuer.feedEndpoint; add that, or remove this")
	}
}

// onlyForeignFeed reports what is said of our own issuer's feed and makes sense of a foreign one's only.
func onlyForeignFeed(i Issuer, fault func(field, format string, args ...any)) {
	for _, a := range []struct{ field, value string }{
		{"issuer.feedTokenEndpoint", i.FeedTokenEndpoint}, {"issuer.feedVerificationEndpoint", i.FeedVerificationEndpoint},
		{"issuer.feedScope", i.FeedScope},
	} {
		if a.value != "" {
			fault(a.field, "is for foreign issuers; remove it, or say by answer which kind this is")
		}
	}
}

// HasFeed tells whether a gateway of this configuration hears the issuer's revocation feed.
func (c Config) HasFeed() bool { return c.Issuer.heard() }

// NewFeed makes what hears the revocation feed for cfg, whose routes are not looked at. It is for bindings in which several
// gateways share one (Options.Feed), so that a replica has one stream; any other leaves that to New. It asks nobody before
// the caller starts it. The caller closes it, after the gateways.
func NewFeed(cfg Config, opts Options) (*feed.Feed, error) {
	cfg.Routes, cfg.TokenHandler = []Route{{Path: "/", Open: true}}, nil
	faults := validate(cfg)
	if !cfg.HasFeed() {
		faults = append(faults, &Fault{"issuer.noFeed", "there is no revocation feed to be heard"})
	}
	opts = opts.withDefaults()
	secret, fault := cfg.Issuer.secret().read(opts.Getenv)
	if fault != nil {
		faults = append(faults, fault)
	}
	if err := joined(faults); err != nil {
		return nil, err
	}
	return newFeed(cfg.withDefaults(), secret, opts)
}

// newFeed makes the feed of a complete configuration without faults. The keys of its issuer are its own.
func newFeed(cfg Config, secret string, opts Options) (*feed.Feed, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "" // it only tells an operator which replica this is
	}
	timeout := time.Duration(cfg.Issuer.Timeout)
	var other *feed.Foreign
	if cfg.Issuer.foreign() {
		other = &feed.Foreign{
			TokenEndpoint: cfg.Issuer.FeedTokenEndpoint, Scope: cfg.Issuer.FeedScope, VerificationEndpoint: cfg.Issuer.FeedVerificationEndpoint,
			SecretInForm: phantomtoken.ClientAuth(cfg.Issuer.ClientAuth) == phantomtoken.ClientAuthPost,
		}
	}
	return feed.New(feed.Config{
		Issuer: cfg.Issuer.Issuer, Endpoint: cfg.Issuer.FeedEndpoint, Foreign: other,
		ClientID: cfg.Issuer.ClientID, ClientSecret: secret, Description: host,
		Verifier: phantomtoken.NewKeys(phantomtoken.Config{
			JWKSURI: cfg.Issuer.JWKSURI, Timeout: timeout, Transport: opts.Transport, Logger: opts.Logger, Now: opts.Now,
		}),
		Keep:      time.Duration(cfg.Cache.MaxAge) + timeout,
		Transport: opts.Transport, Logger: opts.Logger, Now: opts.Now,
	})
}

// heardFeed returns what is known of revocations at a gateway of a complete configuration without faults, nil without a
// feed; and the feed, if it is the gateway's own, still to be started.
func heardFeed(cfg Config, secret string, opts Options) (*feed.State, *feed.Feed, error) {
	switch {
	case !cfg.HasFeed():
		return nil, nil, nil
	case opts.Feed != nil:
		return opts.Feed.State(), nil, nil
	}
	own, err := newFeed(cfg, secret, opts)
	if err != nil {
		return nil, nil, err
	}
	return own.State(), own, nil
}
