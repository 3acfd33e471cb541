// Package eventcatalog is the demo's first API: a catalogue of events with tickets to sell. It stands for an API of
// yours: it knows nothing of the gateway, and verifies the token of each request itself.
//
//	GET  /api/eventcatalog/events   scope eventcatalog.read
//	POST /api/eventcatalog/events   scope eventcatalog.write
//	GET  /api/eventcatalog/whoami   scope eventcatalog.read
package eventcatalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strconv"

	"github.com/phantomgate/phantomgate/apiguard"
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

// maxBodyBytes is far more than any event that passes check.
const maxBodyBytes = 4 << 10

// Config says whose tokens the API accepts.
type Config struct {
	Issuer  string // what a token's "iss" must be
	JWKSURL string // where the issuer's keys are
	Logger  *slog.Logger
}

// New makes the API with its dozen demo events. Each API made has a catalogue of its own, in memory.
func New(cfg Config) (http.Handler, error) {
	guard, err := apiguard.New(apiguard.Config{Issuer: cfg.Issuer, JWKSURL: cfg.JWKSURL, Audience: Audience, Logger: cfg.Logger})
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
	answer(w, http.StatusOK, a.events.list())
}

func (a *api) add(w http.ResponseWriter, r *http.Request) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "unsupported_media_type", "send the event as application/json")
		return
	}
	event, err := decodeEvent(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "invalid_request", "an event has at most "+strconv.Itoa(maxBodyBytes)+" bytes")
		return
	case err != nil:
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	event, err = a.events.add(event)
	if err != nil {
		fail(w, http.StatusConflict, "catalogue_full", err.Error())
		return
	}
	answer(w, http.StatusCreated, event)
}

// decodeEvent reads one JSON object and nothing after it, refuses members it does not know, and checks the event.
func decodeEvent(body io.Reader) (Event, error) {
	var e Event
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return Event{}, fmt.Errorf("the event is not understood: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Event{}, errors.Join(errors.New("something follows the event"), err)
	}
	return e, e.check()
}

func answer(w http.ResponseWriter, status int, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		fail(w, http.StatusInternalServerError, "server_error", "the answer could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client has gone if this fails
}

func fail(w http.ResponseWriter, status int, code, description string) {
	answer(w, status, map[string]string{"error": code, "error_description": description})
}
