package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// TestWrongSettingsAreNamed, all of a part's at once.
func TestWrongSettingsAreNamed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		env  []string
		says []string
	}{
		"no part":         {nil, nil, []string{"account, discount, eventcatalog, shop, shoppingbasket"}},
		"unknown":         {[]string{"billing"}, nil, []string{`"billing"`}},
		"eventcatalog":    {[]string{"eventcatalog"}, nil, []string{envIssuer, envReached}},
		"shoppingbasket":  {[]string{"shoppingbasket"}, nil, []string{envIssuer, envReached, envGateway, envDiscount, envSecret}},
		"account":         {[]string{"account"}, nil, []string{envIssuer, envReached, envAdmin, envSecret}},
		"no secret":       {[]string{"account"}, []string{envSecret, empty}, []string{"is empty"}},
		"no such file":    {[]string{"account"}, []string{envSecret, empty + "x"}, []string{envSecret, "no such file"}},
		"no such address": {[]string{"shop"}, []string{envListen, "nowhere"}, []string{envListen}},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), c.args, environment(c.env...), io.Discard)
			var wrong rejected
			if !errors.As(err, &wrong) {
				t.Fatalf("not refused as wrong use: %v", err)
			}
			for _, text := range c.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not name %s", err, text)
				}
			}
		})
	}
}

// TestServesUntilItIsEnded, says so to health, and ends.
func TestServesUntilItIsEnded(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	listening, log := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"eventcatalog"}, environment(envListen, "127.0.0.1:0", envIssuer, "http://localhost:8090", envReached, "http://issuer:8090"), log)
	}()
	line := make([]byte, 512)
	n, err := listening.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, address, found := strings.Cut(strings.TrimSpace(string(line[:n])), "address=")
	if !found {
		t.Fatalf("it said %s", line[:n])
	}
	if err := run(ctx, []string{"health", "http://" + address + healthPath}, environment(), io.Discard); err != nil {
		t.Error(err)
	}
	if err := run(ctx, []string{"health", "http://" + address + "/api/eventcatalog/events"}, environment(), io.Discard); err == nil {
		t.Error("an answer 401 counts as health")
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := run(t.Context(), []string{"health", "http://" + address + healthPath}, environment(), io.Discard); err == nil {
		t.Error("nobody listens, and it counts as health")
	}
}

// TestHealthIsAStatus200.
func TestHealthIsAStatus200(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusServiceUnavailable, http.StatusNoContent} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		if err := health(t.Context(), server.URL); (err == nil) != (status == http.StatusOK) {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
	}
}
