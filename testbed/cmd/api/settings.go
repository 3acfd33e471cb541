package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/testbed/apis/account"
	"github.com/phantomgate/phantomgate/testbed/apis/discount"
	"github.com/phantomgate/phantomgate/testbed/apis/eventcatalog"
	"github.com/phantomgate/phantomgate/testbed/apis/shoppingbasket"
	"github.com/phantomgate/phantomgate/testbed/spa"
)

// The environment variables. Where somebody is reached may differ from the name they go by: ISSUER_URL is what stands in a
// token, ISSUER_REACHED_AT is where this program finds the issuer.
const (
	envListen   = "LISTEN"             // host:port; :9000 unless set
	envIssuer   = "ISSUER_URL"         // every API
	envReached  = "ISSUER_REACHED_AT"  // every API; the network up to there must be the deployment's own if it is http
	envGateway  = "GATEWAY_REACHED_AT" // shoppingbasket, which reads prices through the gateway
	envDiscount = "DISCOUNT_REACHED_AT"
	envAdmin    = "ADMIN_REACHED_AT" // account, which revokes
	envSecret   = "SECRET_FILE"      // shoppingbasket and account: the secret that they have at the issuer
)

// settings are what the environment says. It keeps each fault, so that all are told at once.
type settings struct {
	getenv func(string) (string, bool)
	faults []error
}

// makers make the parts, by name.
func makers() map[string]func(*settings, *slog.Logger) (http.Handler, error) {
	return map[string]func(*settings, *slog.Logger) (http.Handler, error){
		eventcatalog.Audience:   (*settings).eventcatalog,
		shoppingbasket.Audience: (*settings).shoppingbasket,
		discount.Audience:       (*settings).discount,
		account.Audience:        (*settings).account,
		"shop":                  func(*settings, *slog.Logger) (http.Handler, error) { return spa.New() },
	}
}

func names() string { return strings.Join(slices.Sorted(maps.Keys(makers())), ", ") }

// handler makes the part of this name, or tells every setting that is missing.
func (s *settings) handler(name string, logger *slog.Logger) (http.Handler, error) {
	maker, known := makers()[name]
	if !known {
		return nil, fmt.Errorf("there is no %q; name one of %s", name, names())
	}
	handler, err := maker(s, logger.With("part", name))
	if len(s.faults) > 0 { // then err only says the same again
		return nil, errors.Join(s.faults...)
	}
	return handler, err
}

func (s *settings) eventcatalog(logger *slog.Logger) (http.Handler, error) {
	return eventcatalog.New(eventcatalog.Config{Issuer: s.need(envIssuer), JWKSURL: s.need(envReached) + "/oauth/jwks", InsecureKeysOverHTTP: true, Logger: logger})
}

func (s *settings) discount(logger *slog.Logger) (http.Handler, error) {
	return discount.New(discount.Config{Issuer: s.need(envIssuer), JWKSURL: s.need(envReached) + "/oauth/jwks", InsecureKeysOverHTTP: true, Logger: logger})
}

func (s *settings) shoppingbasket(logger *slog.Logger) (http.Handler, error) {
	issuer := s.need(envReached)
	return shoppingbasket.New(shoppingbasket.Config{
		Issuer: s.need(envIssuer), JWKSURL: issuer + "/oauth/jwks", InsecureKeysOverHTTP: true, TokenURL: issuer + "/oauth/token",
		ClientID: "shoppingbasket", ClientSecret: s.secret(),
		EventsURL: s.need(envGateway) + "/api/eventcatalog/events", DiscountURL: s.need(envDiscount), Logger: logger,
	})
}

func (s *settings) account(logger *slog.Logger) (http.Handler, error) {
	issuer := s.need(envReached)
	return account.New(account.Config{
		Issuer: s.need(envIssuer), JWKSURL: issuer + "/oauth/jwks", InsecureKeysOverHTTP: true, TokenURL: issuer + "/oauth/token",
		RevocationsURL: s.need(envAdmin) + "/admin/v1/revocations", OperatorID: "operator", OperatorSecret: s.secret(), Logger: logger,
	})
}

// need gives a variable, or notes that it is missing.
func (s *settings) need(name string) string {
	value, _ := s.getenv(name)
	if value == "" {
		s.faults = append(s.faults, fmt.Errorf("%s is missing", name))
	}
	return value
}

// secret reads the file that holds the secret and, perhaps, the end of its line.
func (s *settings) secret() string {
	name := s.need(envSecret)
	if name == "" {
		return ""
	}
	content, err := os.ReadFile(name)
	secret := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		s.faults = append(s.faults, fmt.Errorf("%s: %w", envSecret, err))
	case secret == "":
		s.faults = append(s.faults, fmt.Errorf("%s: %s is empty", envSecret, name))
	}
	return secret
}

func (s *settings) listen() string {
	if address, _ := s.getenv(envListen); address != "" {
		return address
	}
	return ":9000"
}
