package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

const fullConfig = `{
  "issuer": {
    "issuer": "http://localhost:8090", "url": "http://127.0.0.1:8090",
    "introspectionEndpoint": "http://127.0.0.1:8090/i", "jwksUri": "http://127.0.0.1:8090/k",
    "feedEndpoint": "http://127.0.0.1:8090/s",
    "clientId": "gateway", "clientSecretFile": "/run/secrets/gateway", "tenant": "acme", "timeout": "1500ms"
  },
  "cache": {"maxAge": "4m", "maxStaleness": "10s", "maxBytes": 1048576, "negativeMaxAge": "2s", "negativeEntries": 10},
  "identityHeaders": ["X-My-User"],
  "routes": [
    {"path": "/api/eventcatalog/*", "methods": ["GET"], "audience": "eventcatalog",
     "scopes": {"all": ["eventcatalog.read"], "any": ["a", "b"]}, "acr": ["mfa"], "maxAge": "5m", "maxStaleness": "1m"},
    {"operationId": "health", "open": true}
  ]
}`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(fullConfig))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Issuer: Issuer{
			Issuer: "http://localhost:8090", URL: "http://127.0.0.1:8090", IntrospectionEndpoint: "http://127.0.0.1:8090/i",
			JWKSURI: "http://127.0.0.1:8090/k", FeedEndpoint: "http://127.0.0.1:8090/s", ClientID: "gateway", ClientSecretFile: "/run/secrets/gateway", Tenant: "acme",
			Timeout: Duration(1500 * time.Millisecond),
		},
		Cache: Cache{
			MaxAge: Duration(4 * time.Minute), MaxStaleness: Duration(10 * time.Second), MaxBytes: 1 << 20, NegativeMaxAge: Duration(2 * time.Second), NegativeEntries: 10,
		},
		IdentityHeaders: []string{"X-My-User"},
		Routes: []Route{
			{
				Path: "/api/eventcatalog/*", Methods: []string{"GET"}, Audience: "eventcatalog", ACR: []string{"mfa"},
				Scopes: Scopes{All: []string{"eventcatalog.read"}, Any: []string{"a", "b"}}, MaxAge: Duration(5 * time.Minute),
				MaxStaleness: Duration(time.Minute),
			},
			{OperationID: "health", Open: true},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// What a binding writes, Parse reads.
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Parse(data); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("%s\n%v", data, err)
	}
}

func TestDefaults(t *testing.T) {
	base := Config{Issuer: Issuer{Issuer: "https://issuer.example/t/"}}
	want := Config{
		Issuer: Issuer{
			Issuer: "https://issuer.example/t/", URL: "https://issuer.example/t", Tenant: "default", Timeout: Duration(2 * time.Second),
			IntrospectionEndpoint: "https://issuer.example/t/oauth/introspect", JWKSURI: "https://issuer.example/t/oauth/jwks",
			FeedEndpoint: "https://issuer.example/t/ssf/streams",
		},
		Cache: Cache{
			MaxAge: Duration(5 * time.Minute), MaxStaleness: Duration(5 * time.Second),
			MaxBytes: 64 << 20, NegativeMaxAge: Duration(time.Second), NegativeEntries: 65536,
		},
	}
	if got := base.withDefaults(); !reflect.DeepEqual(got, want) || !got.HasFeed() {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	// Without a feed a token is cached for as long as its revocation may go unnoticed.
	want.Issuer.FeedEndpoint, want.Cache.MaxAge, want.Cache.MaxStaleness = "", Duration(time.Second), 0
	for name, change := range map[string]func(*Issuer){
		"noFeed": func(i *Issuer) { i.NoFeed = true }, "foreign": func(i *Issuer) { i.Answer = "jwt" },
	} {
		unheard, want := base, want
		change(&unheard.Issuer)
		change(&want.Issuer)
		if got := unheard.withDefaults(); !reflect.DeepEqual(got, want) || got.HasFeed() {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
	}
}

// TestDefaultsOfAForeignFeed: it is heard where its endpoint is given, and what is cached lives shorter than with our own.
func TestDefaultsOfAForeignFeed(t *testing.T) {
	c := Config{Issuer: Issuer{Issuer: "https://issuer.example", Answer: "jwt", FeedEndpoint: "https://issuer.example/f"}}
	got := c.withDefaults()
	if !got.HasFeed() || got.Issuer.FeedScope != "ssf.manage" || got.Issuer.FeedEndpoint != "https://issuer.example/f" ||
		time.Duration(got.Cache.MaxAge) != time.Minute || time.Duration(got.Cache.MaxStaleness) != 5*time.Second {
		t.Errorf("got %+v", got)
	}
	c.Issuer.Answer, c.Issuer.FeedScope = "", ""
	if got := c.withDefaults(); got.Issuer.FeedScope != "" || time.Duration(got.Cache.MaxAge) != 5*time.Minute {
		t.Errorf("our own: got %+v", got)
	}
}

// TestParseFaults reads each testdata/faults/*.json and compares what is said about it, all faults at once, with the
// .golden beside it.
func TestParseFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := Parse(data)
		if err == nil || !reflect.DeepEqual(cfg, Config{}) {
			t.Errorf("%s: passed", file)
			continue
		}
		checkEachFault(t, err)
		golden, got := strings.TrimSuffix(file, ".json")+".golden", []byte(err.Error()+"\n")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s (go test -update writes it anew):\n%s", golden, got)
		}
	}
}

// checkEachFault checks that a binding gets every fault apart, to find the line it came from.
func checkEachFault(t *testing.T, err error) {
	t.Helper()
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not joined", err)
	}
	for _, e := range many.Unwrap() {
		var f *Fault
		wholeDocument := len(many.Unwrap()) == 1
		if !errors.As(e, &f) || f.Problem == "" || f.Field == "" && !wholeDocument {
			t.Errorf("%v is no fault with a field", e)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	cfg, err := Parse([]byte(`{"issuer":{"issuer":"https://i.example","clientId":"g","clientSecret":"canary"},"routes":[{"path":"/","open":true}]}`))
	if err != nil || cfg.Issuer.ClientSecret != "canary" {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("secret", "secret", cfg.Issuer.ClientSecret)
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.Issuer.ClientSecret, cfg.Issuer.ClientSecret), log.String()} {
		if strings.Contains(text, "canary") {
			t.Errorf("the secret shows in %s", text)
		}
	}
}

// FuzzConfig holds Parse to three promises: it never panics, what passes is valid and comes out the same when written
// and read again, and what encoding/json would not read strictly never passes.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(fullConfig))
	files, _ := filepath.Glob("testdata/faults/*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse(data)
		if err != nil {
			if err.Error() == "" {
				t.Error("a fault without words")
			}
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("passed and is not valid: %v", err)
		}
		written, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("read again: %v\n%s", err, written)
		}
		if rewritten, err := json.Marshal(again); err != nil || !bytes.Equal(rewritten, written) {
			t.Errorf("%v\nread again: %s\nwritten:    %s", err, rewritten, written)
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		var loose Config
		if err := dec.Decode(&loose); err != nil || !reflect.DeepEqual(loose, cfg) {
			t.Errorf("encoding/json reads %+v, %v", loose, err)
		}
	})
}
