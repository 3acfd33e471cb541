package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

const clients = `
audiences:
  - {name: catalogue, title: Catalogue, scopes: [{name: catalogue.read, title: Read}]}
  - {name: admin, title: Operators, scopes: [{name: admin, title: Operate}]}
clients:
  - {id: batch, secret: {demo: batch-secret}, grant_types: [client_credentials], scopes: [catalogue.read]}
  - {id: operator, secret: {demo: operator-secret}, grant_types: [client_credentials], scopes: [admin]}
  - {id: gateway, secret: {demo: gateway-secret}, introspects: [catalogue]}
`

// restoredFile is the configuration by which the command finds the database of the issuer.
const restoredFile = `demo: true
issuer: http://localhost:8090
listen: LISTEN
admin: {listen: ADMIN}
storage: {sqlite: data/issuer.db}
data_key: {file: data.key, create: true}
`

// TestRestored takes a backup, revokes, restores the backup as docs/operating.md says, and finds that what was revoked in between
// does not live again.
func TestRestored(t *testing.T) {
	for name, restored := range map[string]bool{"restored": true, "the control: without being told": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			start := func() *authservertest.Issuer {
				return authservertest.New(t, authservertest.Options{Config: clients, Dir: dir})
			}
			issuer := start()
			leaked, epoch := tokenOf(t, issuer, "batch"), epochOf(t, issuer)
			issuer.Stop(t)
			shell(t, dir, "mkdir backup; ln -s db data; cp db/issuer.db backup/")

			issuer = start()
			post(t, issuer.Admin+"/admin/v1/revocations", "Bearer "+tokenOf(t, issuer, "operator"), `{"token":"`+leaked+`"}`)
			if active(t, issuer, leaked) {
				t.Fatal("it is alive although it was revoked")
			}
			issuer.Stop(t)

			writeConfig(t, dir, "127.0.0.1:0", "127.0.0.1:0")
			block := blockWith(t, "authserver restored")
			if !restored {
				block = strings.Replace(block, "authserver restored", "true", 1)
			}
			out := shell(t, dir, block)
			if restored && !strings.Contains(out, "everything is revoked (sequence 1)") {
				t.Errorf("it says:\n%s", out)
			}
			issuer = start()
			if got := active(t, issuer, leaked); got == restored {
				t.Errorf("what was revoked after the backup is alive: %t", got)
			}
			if now := epochOf(t, issuer); (now == epoch) == restored {
				t.Errorf("the feed's epoch was %s and is %s", epoch, now)
			}
			if !active(t, issuer, tokenOf(t, issuer, "batch")) {
				t.Error("what is issued now is not alive")
			}
		})
	}
}

// TestRestoredWhileItRuns: an issuer that runs is found, at either of its addresses, and its database is left alone.
func TestRestoredWhileItRuns(t *testing.T) {
	dir := t.TempDir()
	issuer := authservertest.New(t, authservertest.Options{Config: clients, Dir: dir})
	shell(t, dir, "ln -s db data")
	reference := tokenOf(t, issuer, "batch")
	public, admin := strings.TrimPrefix(issuer.URL, "http://"), strings.TrimPrefix(issuer.Admin, "http://")
	for _, at := range [][2]string{{public, "127.0.0.1:0"}, {"127.0.0.1:0", admin}} {
		writeConfig(t, dir, at[0], at[1])
		out := shell(t, dir, "authserver restored --config issuer.yaml --yes && exit 9 || echo refused")
		if !strings.Contains(out, "something serves at ") || !strings.Contains(out, "stop it, do this, and start it again") || !strings.HasSuffix(out, "refused\n") {
			t.Errorf("it says:\n%s", out)
		}
	}
	// One that listens elsewhere, or is behind another address, has its database open all the same.
	writeConfig(t, dir, "127.0.0.1:0", "127.0.0.1:0")
	out := shell(t, dir, "authserver restored --config issuer.yaml --yes --with-wal && exit 9 || echo refused")
	if !strings.Contains(out, "an issuer has it open") || !strings.HasSuffix(out, "refused\n") {
		t.Errorf("it says:\n%s", out)
	}
	if !active(t, issuer, reference) {
		t.Error("it was revoked all the same")
	}
}

func writeConfig(t *testing.T, dir, listen, admin string) {
	t.Helper()
	text := strings.NewReplacer("LISTEN", listen, "ADMIN", `"`+admin+`"`).Replace(restoredFile)
	if err := os.WriteFile(filepath.Join(dir, "issuer.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// blockWith gives the block of docs/operating.md in which a command stands.
func blockWith(t *testing.T, command string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		if strings.Contains(block[1], command) {
			return block[1]
		}
	}
	t.Fatalf("docs/operating.md does not say %q", command)
	return ""
}

func shell(t *testing.T, dir, commands string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", commands)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func post(t *testing.T, address, authorization, body string) map[string]any {
	t.Helper()
	return request(t, http.MethodPost, address, authorization, body)
}

func request(t *testing.T, method, address, authorization, body string) map[string]any {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var members map[string]any
	if err := json.NewDecoder(response.Body).Decode(&members); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", address, response.StatusCode, members, err)
	}
	return members
}

func tokenOf(t *testing.T, issuer *authservertest.Issuer, client string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {client + "-secret"}}
	return post(t, issuer.URL+"/oauth/token", "", form.Encode())["access_token"].(string)
}

func active(t *testing.T, issuer *authservertest.Issuer, reference string) bool {
	t.Helper()
	form := url.Values{"token": {reference}, "client_id": {"gateway"}, "client_secret": {"gateway-secret"}}
	return post(t, issuer.URL+"/oauth/introspect", "", form.Encode())["active"] == true
}

func epochOf(t *testing.T, issuer *authservertest.Issuer) string {
	t.Helper()
	list := request(t, http.MethodGet, issuer.Admin+"/admin/v1/gateways", "Bearer "+tokenOf(t, issuer, "operator"), "")
	return list["feed"].(map[string]any)["epoch"].(string)
}
