// Package eventcatalog is the demo's first API: a catalogue of events with tickets to sell. It stands for an API of
// yours: it knows nothing of the gateway, and verifies the token of each request itself.
//
//	GET  /api/eventcatalog/events   scope eventcatalog.read
//	POST /api/eventcatalog/events   scope eventcatalog.write
//	GET  /api/eventcatalog/whoami   scope eventcatalog.read
package eventcatalog

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/apis/jsonhttp"
	"github.com/phantomgate/phantomgate/testbed/apis/whoami"
)

// Audience is the API's name at the issuer; its scopes begin with it.
const (
	Audience   = "eventcatalog"
	ScopeRead  = "eventcatalog.read"
	ScopeWrite = "eventcatalog.write"

	eventsPath = "/api/eventcatalog/events"
	whoamiPath = "/api/eventcatalog/whoami"
)

// Config says whose tokens the API accepts.
type Config struct {
	Issuer               string // what a token's "iss" must be
	JWKSURL              string // where the issuer's keys are
	InsecureKeysOverHTTP bool   // lets JWKSURL be plain http on a host that is not loopback: for a network of the issuer's and ours alone
	Logger               *slog.Logger
}

// New makes the API with its dozen demo events. Each API made has a catalogue of its own, in memory.
func New(cfg Config) (http.Handler, error) {
	guard, err := apiguard.New(apiguard.Config{Issuer: cfg.Issuer, JWKSURL: cfg.JWKSURL, InsecureKeysOverHTTP: cfg.InsecureKeysOverHTTP, Audience: Audience, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("eventcatalog: %w", err)
	}
	api := &api{events: newCatalogue()}
	read, write := guard.Require(ScopeRead), guard.Require(ScopeWrite)
	mux := http.NewServeMux()
	mux.Handle("GET "+eventsPath, read(http.HandlerFunc(api.list)))
	mux.Handle("POST "+eventsPath, write(http.HandlerFunc(api.add)))
	mux.Handle("GET "+whoamiPath, read(whoami.Handler()))
	return mux, nil
}

type api struct{ events *catalogue }

func (a *api) list(w http.ResponseWriter, _ *http.Request) {
	jsonhttp.Answer(w, http.StatusOK, a.events.list())
}

func (a *api) add(w http.ResponseWriter, r *http.Request) {
	var event Event
	if !jsonhttp.Read(w, r, &event) {
		return
	}
	if err := event.check(); err != nil {
		jsonhttp.Refuse(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	event, err := a.events.add(event)
	if err != nil {
		jsonhttp.Refuse(w, http.StatusConflict, "catalogue_full", err.Error())
		return
	}
	jsonhttp.Answer(w, http.StatusCreated, event)
}
