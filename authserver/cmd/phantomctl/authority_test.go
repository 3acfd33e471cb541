package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

// TestPrivateAuthority: an issuer whose certificate a private CA has signed is reached with --ca, and not without, nor with
// another's.
func TestPrivateAuthority(t *testing.T) {
	asked := 0
	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		mux.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	says := func(pattern, body string) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
	}
	says("GET /.well-known/oauth-authorization-server", fmt.Sprintf(`{"issuer":%q,"token_endpoint":%q}`, server.URL, server.URL+"/token"))
	says("POST /token", `{"access_token":"a","token_type":"Bearer"}`)
	says("GET /admin/v1/gateways", `{"gateways":[],"epoch":"e","sequence":0}`)

	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	own := file("ca.pem", certificate(server.Certificate().Raw))
	other := file("other.pem", certificate(anotherAuthority(t)))
	nothing := file("empty.pem", nil)
	key := file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("canary")}))
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"the CA's":           {[]string{"--ca", own}, 0, ""},
		"none":               {nil, 1, "--ca"},
		"another's":          {[]string{"--ca", other}, 1, "--ca"},
		"a file without":     {[]string{"--ca", nothing}, 2, "has no certificate in it"},
		"a key":              {[]string{"--ca", key}, 2, "has no certificate in it"},
		"a file that is not": {[]string{"--ca", filepath.Join(dir, "missing.pem")}, 2, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			d := lab{&authservertest.Issuer{URL: server.URL}}.phantomctl(t, server.URL, nil, append([]string{"gateways"}, test.args...)...)
			if d.code != test.code || !strings.Contains(d.err, test.says) || strings.Contains(d.err, "canary") {
				t.Errorf("code %d, want %d; it says %s%s", d.code, test.code, d.out, d.err)
			}
			if reached := asked > 0; reached != (test.code == 0) || len(d.pauses) > 0 {
				t.Errorf("reached: %t; waited %d times for what waiting does not mend", reached, len(d.pauses))
			}
		})
	}
}

// anotherAuthority is a CA that has signed nothing but itself.
func anotherAuthority(t *testing.T) []byte {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
