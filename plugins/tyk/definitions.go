package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/tokenhandler"
)

// definitions compiles each API definition once. Tyk does not tell a plugin of a reload: it puts another definition, at
// another address, into the requests that follow, while those under way keep the old one. So the address is the key, and
// what was compiled is given back when the garbage collector finds that Tyk has let go of the definition.
type definitions struct {
	logger *slog.Logger

	mu      sync.Mutex // while one is compiled
	classic byAddress[apidef.APIDefinition]
	oas     byAddress[oas.OAS]

	gateways      shared[*running]
	tokenHandlers shared[*tokenhandler.Handler]
	feeds         shared[*feed.Feed]
}

func newDefinitions(logger *slog.Logger) *definitions { return &definitions{logger: logger} }

// of returns the compiled definition that r came with. It allocates nothing when it has been asked before.
func (d *definitions) of(r *http.Request) *api {
	classic, openAPI, err := definitionOf(r)
	switch {
	case err != nil:
		d.logger.Error("a request is refused", "error", err)
		return &api{faults: err}
	case classic != nil:
		return lookup(d, &d.classic, classic, r)
	case openAPI != nil:
		return lookup(d, &d.oas, openAPI, r)
	}
	return &api{faults: errors.New("the request came without an API definition")}
}

// lookup returns what is known of definition, compiled now if it is new.
func lookup[T any](d *definitions, known *byAddress[T], definition *T, r *http.Request) *api {
	if a := known.get(definition); a != nil {
		return a
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := known.get(definition); a != nil {
		return a
	}
	a := d.compile(r)
	if a.faults != nil {
		d.logger.Error("the definition of an API is refused; until it is mended, its requests are answered with 500", "api", a.id, "faults", a.faults)
	}
	known.put(definition, a)
	return a
}

// compile makes a of the definition in r.
func (d *definitions) compile(r *http.Request) *api {
	doc, err := read(r)
	if err != nil {
		return &api{id: doc.id, faults: err}
	}
	parts, rules, faults := splitConfig(doc.config)
	config, err := gateway.Parse(parts)
	ops, opsErr := newOperations(doc, config)
	if faults = errors.Join(faults, err, opsErr, doc.judge(config)); faults != nil {
		return &api{id: doc.id, faults: faults}
	}
	secrets, err := config.Fingerprint("gateways in Tyk", nil)
	if err != nil {
		return &api{id: doc.id, faults: err}
	}
	client := config
	client.TokenHandler = nil // a user and app have one KeyID at all APIs of one issuer and client
	sessionKey, err := client.Fingerprint("sessions in Tyk", nil)
	if err != nil {
		return &api{id: doc.id, faults: err}
	}
	// A secret's file may have got another since the last reload: then it is another gateway.
	g, release, err := d.gateways.take(string(parts)+string(secrets), func() (*running, error) { return d.start(config, secrets) })
	if err != nil {
		return &api{id: doc.id, faults: err}
	}
	return &api{
		id: doc.id, gateway: g.Gateway, operations: ops, strips: doc.strips, csrf: csrfHeader(config), remembers: !doc.alone,
		release:  release,
		sessions: newSessions(doc.org, doc.id, config.Issuer, sessionKey, rules),
	}
}

// running is a gateway, with its part in what several share.
type running struct {
	*gateway.Gateway
	releases []func()
}

// start makes a gateway. All that agree in what a stream of the revocation feed is made of share one, since a replica is one
// receiver; and one token handler, so that a logout at one API is known to the others. secrets stands for those that config names.
func (d *definitions) start(config gateway.Config, secrets []byte) (*running, error) {
	opts := gateway.Options{Logger: d.logger}
	var running running
	var release func()
	var err error
	if config.HasFeed() {
		key := keyOf(config.Issuer, config.Cache.MaxAge, secrets)
		opts.Feed, release, err = d.feeds.take(key, func() (*feed.Feed, error) { return started(gateway.NewFeed(config, opts)) })
		if err != nil {
			return nil, err
		}
		running.releases = append(running.releases, release)
	}
	if config.TokenHandler != nil {
		key := keyOf(config.Issuer, config.TokenHandler, secrets)
		opts.TokenHandler, release, err = d.tokenHandlers.take(key, func() (*tokenhandler.Handler, error) { return gateway.NewTokenHandler(config, opts) })
		if err != nil {
			running.release()
			return nil, err
		}
		running.releases = append(running.releases, release)
	}
	if running.Gateway, err = gateway.New(config, opts); err != nil {
		running.release()
		return nil, err
	}
	return &running, nil
}

// Close ends the gateway, and its part in what it shares.
func (r *running) Close() error {
	err := r.Gateway.Close()
	r.release()
	return err
}

func (r *running) release() {
	for _, release := range r.releases {
		release()
	}
}

func started(f *feed.Feed, err error) (*feed.Feed, error) {
	if err == nil {
		f.Start()
	}
	return f, err
}

// keyOf returns the key of what is made of parts.
func keyOf(parts ...any) string {
	key, err := json.Marshal(parts)
	if err != nil { // they were read from JSON
		panic(err)
	}
	return string(key)
}

// byAddress finds what is kept for a *T without keeping the T alive, and without a lock.
type byAddress[T any] struct {
	slots atomic.Pointer[map[uintptr]*slot[T]] // never changed: put replaces it
	mu    sync.Mutex
}

type slot[T any] struct {
	of  weak.Pointer[T]
	api *api
}

func address[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

func (b *byAddress[T]) get(p *T) *api {
	slots := b.slots.Load()
	if slots == nil {
		return nil
	}
	// The address may have been another definition's before: then the slot's pointer leads nowhere.
	if s := (*slots)[address(p)]; s != nil && s.of.Value() == p {
		return s.api
	}
	return nil
}

func (b *byAddress[T]) put(p *T, a *api) {
	s := &slot[T]{of: weak.Make(p), api: a}
	b.change(func(slots map[uintptr]*slot[T]) { slots[address(p)] = s })
	runtime.AddCleanup(p, func(at uintptr) { b.forget(at, s) }, address(p))
}

// forget drops s, whose definition is gone.
func (b *byAddress[T]) forget(at uintptr, s *slot[T]) {
	b.change(func(slots map[uintptr]*slot[T]) {
		if slots[at] == s {
			delete(slots, at)
		}
	})
	if s.api.release != nil {
		go s.api.release() // closing may take a second, and cleanups wait for each other
	}
}

func (b *byAddress[T]) change(do func(slots map[uintptr]*slot[T])) {
	b.mu.Lock()
	defer b.mu.Unlock()
	slots := map[uintptr]*slot[T]{}
	if old := b.slots.Load(); old != nil {
		maps.Copy(slots, *old)
	}
	do(slots)
	b.slots.Store(&slots)
}
