// Package ssf serves the revocation feed to gateways: a Shared Signals transmitter (SSF 1.0) whose streams are polled
// (RFC 8936). What is said on them is package feed's part; who may hear it is this one's.
package ssf

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/bearer"
	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/feed"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// pollDelivery is RFC 8936.
const pollDelivery = "urn:ietf:rfc:8936"

// maxBody is the largest request body, in bytes: a thousand acknowledgements have a tenth of it.
const maxBody = 512 << 10

// Feed is the transmitter.
type Feed interface {
	Create(ctx context.Context, clientID, description string, events []string) (storage.Stream, error)
	Find(ctx context.Context, clientID, id string) (storage.Stream, error)
	Delete(ctx context.Context, clientID, id string) error
	Verify(ctx context.Context, clientID, id, state string) error
	Poll(ctx context.Context, clientID, id string, r feed.Request) (feed.Answer, error)
}

// Clients authenticates a gateway by its secret.
type Clients interface {
	Authenticate(r *http.Request, form url.Values) (config.Client, error)
}

// Bearer checks an access reference: alive, in time, of that scope, its client and user known.
type Bearer interface {
	Check(ctx context.Context, tenant, reference, scope string) (bearer.Token, error)
}

// Handler serves /ssf and its well-known document. No field may be missing.
type Handler struct {
	Tenant  string
	Issuer  string
	Feed    Feed
	Clients Clients
	Bearer  Bearer
	Log     *slog.Logger
}

// New checks that nothing is missing.
func New(h Handler) (*Handler, error) {
	if h.Tenant == "" || h.Issuer == "" || h.Feed == nil || h.Clients == nil || h.Bearer == nil || h.Log == nil {
		return nil, errors.New("ssf: every field of Handler is needed")
	}
	return &h, nil
}

// Mount adds the routes.
func (h *Handler) Mount(mux *http.ServeMux) {
	mux.HandleFunc("GET /.well-known/ssf-configuration", h.configuration)
	mux.HandleFunc("POST /ssf/streams", h.guard(h.create))
	mux.HandleFunc("GET /ssf/streams", h.guard(h.show))
	mux.HandleFunc("DELETE /ssf/streams", h.guard(h.remove))
	mux.HandleFunc("GET /ssf/status", h.guard(h.status))
	mux.HandleFunc("POST /ssf/verify", h.guard(h.verify))
	mux.HandleFunc("POST /ssf/streams/{id}/poll", h.guard(h.poll))
}

type scheme struct {
	SpecURN string `json:"spec_urn"`
}

// configuration is public and the same for everybody (SSF 1.0, 7.1).
func (h *Handler) configuration(w http.ResponseWriter, _ *http.Request) {
	wire.JSON(w, http.StatusOK, struct {
		SpecVersion           string   `json:"spec_version"`
		Issuer                string   `json:"issuer"`
		JWKSURI               string   `json:"jwks_uri"`
		DeliveryMethods       []string `json:"delivery_methods_supported"`
		ConfigurationEndpoint string   `json:"configuration_endpoint"`
		StatusEndpoint        string   `json:"status_endpoint"`
		VerificationEndpoint  string   `json:"verification_endpoint"`
		AuthorizationSchemes  []scheme `json:"authorization_schemes"`
		DefaultSubjects       string   `json:"default_subjects"`
	}{
		"1_0", h.Issuer, h.Issuer + "/oauth/jwks", []string{pollDelivery}, h.Issuer + "/ssf/streams", h.Issuer + "/ssf/status",
		h.Issuer + "/ssf/verify", []scheme{{"urn:ietf:rfc:7617"}, {"urn:ietf:rfc:6750"}}, "ALL",
	})
}

// guard lets gateways through, and nobody else.
func (h *Handler) guard(next func(w http.ResponseWriter, r *http.Request, clientID string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, err := h.gateway(r)
		if err == nil {
			err = next(w, r, client.ID)
		}
		if err != nil {
			wire.Error(w, r, h.Log, err)
		}
	}
}

// gateway tells which client asks: by its own secret, as at introspection, or by a bearer token of the scope ssf.
func (h *Handler) gateway(r *http.Request) (config.Client, error) {
	client, err := h.client(r)
	switch {
	case err != nil:
		return config.Client{}, err
	case client.Public || len(client.Introspects) == 0:
		return config.Client{}, oauth.Errorf(oauth.AccessDenied, "the feed is for gateways: clients that introspect something")
	}
	return client, nil
}

func (h *Handler) client(r *http.Request) (config.Client, error) {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return h.Clients.Authenticate(r, url.Values{})
	}
	reference, err := bearer.FromHeader(r)
	if err != nil {
		return config.Client{}, err
	}
	token, err := h.Bearer.Check(r.Context(), h.Tenant, reference, oauth.ScopeFeed)
	if err == nil && token.Grant.Subject != "" {
		err = oauth.Errorf(oauth.AccessDenied, "the feed is for gateways, not for people: use client credentials")
	}
	return token.Client, err
}

// read decodes a body. What is not known is left alone: receivers of others send more.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "the body could not be read, or is larger than %d bytes", maxBody)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return oauth.Errorf(oauth.InvalidRequest, "the body is not the JSON that is expected here")
	}
	return nil
}

type delivery struct {
	Method      string `json:"method"`
	EndpointURL string `json:"endpoint_url,omitempty"`
}

type streamAnswer struct {
	StreamID    string   `json:"stream_id"`
	Issuer      string   `json:"iss"`
	Audience    string   `json:"aud"`
	Delivery    delivery `json:"delivery"`
	Supported   []string `json:"events_supported"`
	Requested   []string `json:"events_requested"`
	Delivered   []string `json:"events_delivered"`
	Description string   `json:"description,omitempty"`
}

func (h *Handler) describe(s storage.Stream) streamAnswer {
	events := strings.Fields(s.Events)
	return streamAnswer{
		StreamID: s.ID, Issuer: h.Issuer, Audience: s.ClientID, Supported: feed.Events(), Requested: events, Delivered: events,
		Delivery: delivery{pollDelivery, h.Issuer + "/ssf/streams/" + s.ID + "/poll"}, Description: s.Description,
	}
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request, clientID string) error {
	var asked struct {
		Delivery    delivery `json:"delivery"`
		Events      []string `json:"events_requested"`
		Description string   `json:"description"`
	}
	if err := read(w, r, &asked); err != nil {
		return err
	}
	if asked.Delivery.Method != pollDelivery {
		return oauth.Errorf(oauth.InvalidRequest, "delivery.method must be %s: the feed is polled", pollDelivery)
	}
	made, err := h.Feed.Create(r.Context(), clientID, asked.Description, asked.Events)
	if err != nil {
		return err
	}
	h.Log.InfoContext(r.Context(), "a gateway hears the feed", "client", clientID, "stream", made.ID, "description", made.Description)
	wire.JSON(w, http.StatusCreated, h.describe(made))
	return nil
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request, clientID string) error {
	stream, err := h.Feed.Find(r.Context(), clientID, r.URL.Query().Get("stream_id"))
	if err != nil {
		return err
	}
	wire.JSON(w, http.StatusOK, h.describe(stream))
	return nil
}

func (h *Handler) remove(w http.ResponseWriter, r *http.Request, clientID string) error {
	if err := h.Feed.Delete(r.Context(), clientID, r.URL.Query().Get("stream_id")); err != nil {
		return err
	}
	wire.NoStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) status(w http.ResponseWriter, r *http.Request, clientID string) error {
	stream, err := h.Feed.Find(r.Context(), clientID, r.URL.Query().Get("stream_id"))
	if err != nil {
		return err
	}
	wire.JSON(w, http.StatusOK, struct {
		StreamID string `json:"stream_id"`
		Status   string `json:"status"`
	}{stream.ID, "enabled"})
	return nil
}

// maxState bounds what a verification event carries back, in bytes.
const maxState = 1000

func (h *Handler) verify(w http.ResponseWriter, r *http.Request, clientID string) error {
	var asked struct {
		StreamID string `json:"stream_id"`
		State    string `json:"state"`
	}
	if err := read(w, r, &asked); err != nil {
		return err
	}
	if len(asked.State) > maxState {
		return oauth.Errorf(oauth.InvalidRequest, "state is longer than %d bytes", maxState)
	}
	if err := h.Feed.Verify(r.Context(), clientID, asked.StreamID, asked.State); err != nil {
		return err
	}
	wire.NoStore(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) poll(w http.ResponseWriter, r *http.Request, clientID string) error {
	var asked feed.Request
	if err := read(w, r, &asked); err != nil {
		return err
	}
	for jti, fault := range asked.SetErrs {
		h.Log.WarnContext(r.Context(), "a gateway could not use an event", "client", clientID, "stream", r.PathValue("id"), "event", jti, "fault", fault.Err)
	}
	answer, err := h.Feed.Poll(r.Context(), clientID, r.PathValue("id"), asked)
	if err != nil {
		return err
	}
	wire.JSON(w, http.StatusOK, answer)
	return nil
}
