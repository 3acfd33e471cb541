package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/demo"
)

// process is the demo as a process of its own.
type process struct {
	cmd    *exec.Cmd
	out    []string // what it had printed when it said ready
	temp   string   // its temporary folder, and its home
	errOut *buffer
}

// buffer is written by the process and read by the test.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs the demo on free ports until it says ready; the test ends it.
func start(t *testing.T, env ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(executable), temp: t.TempDir(), errOut: &buffer{}}
	p.cmd.Env = append(os.Environ(), beTheDemo+"=1", "TMPDIR="+p.temp, "HOME="+p.temp, "GATEWAY_ADDR=localhost:0", "ISSUER_ADDR=localhost:0", "ADMIN_ADDR=localhost:0", "DISCOUNT_ADDR=localhost:0")
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = p.errOut
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // for a test that fails half-way; otherwise it has ended
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if p.out = append(p.out, lines.Text()); lines.Text() == "ready" {
			go func() { _, _ = io.Copy(io.Discard, stdout) }() // so that nothing it still prints blocks it
			return p
		}
	}
	t.Fatalf("the demo ended before it was ready: %v\n%s", p.cmd.Wait(), p.errOut)
	return nil
}

// interrupt sends what Ctrl-C sends, and wants a clean end with nothing left.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v\n%s", err, p.errOut)
	}
	left, err := os.ReadDir(p.temp)
	if err != nil || len(left) != 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}

// shown finds what the demo printed beside a name.
func (p *process) shown(t *testing.T, name string) string {
	t.Helper()
	for _, line := range p.out {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return fields[len(fields)-1]
		}
	}
	t.Fatalf("the demo did not print its %s:\n%s", name, strings.Join(p.out, "\n"))
	return ""
}

func (p *process) walk(t *testing.T) *walk {
	t.Helper()
	admin := strings.TrimSuffix(p.shown(t, "Admin"), "/admin/v1")
	return &walk{&demo.Demo{GatewayURL: p.shown(t, "Gateway"), IssuerURL: p.shown(t, "Issuer"), AdminURL: admin}, http.DefaultClient}
}

// TestTheDemoEndsCleanlyAndKeepsSecretsToItself walks against a talkative demo, looks for everything secret in what it
// wrote, and interrupts it.
func TestTheDemoEndsCleanlyAndKeepsSecretsToItself(t *testing.T) {
	p := start(t, "LOG_LEVEL=debug")
	w := p.walk(t)
	token := w.logIn(t, "mobile", "alice", "openid", "offline_access", "eventcatalog.read")
	partner := w.logIn(t, "partner", "bob", "eventcatalog.read")
	for _, reference := range []string{token.AccessToken, partner.AccessToken, "garbage-canary", token.RefreshToken} {
		w.api(t, whoami, reference, "")
		w.active(t, reference)
	}
	shopper := w.shopper(t, "bob")
	w.api(t, basketPath, shopper, `{"event":"e1","quantity":2}`).read(t, http.StatusOK, &struct{}{})
	operator := w.machine(t, "operator", "admin")
	w.operate(t, operator, "/admin/v1/revocations", `{"token":"`+token.AccessToken+`"}`)
	p.interrupt(t)

	secrets := []string{
		token.AccessToken, token.RefreshToken, partner.AccessToken, operator, shopper, "garbage-canary", "eyJ",
		"alice-demo", "bob-demo", "gateway-demo-secret", "partner-demo-secret", "operator-demo-secret", "shoppingbasket-demo-secret",
	}
	log := p.errOut.String()
	if !strings.Contains(log, "level=DEBUG") && !strings.Contains(log, `"level":"debug"`) {
		t.Errorf("the demo was not talkative, so this says nothing:\n%s", log)
	}
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %.12s…", secret)
		}
	}
}

func TestTheDemoKeepsADataFolderThatItWasGiven(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	p := start(t, "DATA_DIR="+dir)
	w := p.walk(t)
	token := w.machine(t, "batch", "eventcatalog.read")
	issuer, gateway, admin := w.demo.IssuerURL, w.demo.GatewayURL, w.demo.AdminURL
	p.interrupt(t)

	// The same names again: what was answered before still holds.
	addr := func(u string) string { return strings.TrimPrefix(u, "http://") }
	p = start(t, "DATA_DIR="+dir, "ISSUER_ADDR="+addr(issuer), "GATEWAY_ADDR="+addr(gateway), "ADMIN_ADDR="+addr(admin))
	if got := p.walk(t).api(t, events, token, ""); got.status != http.StatusOK {
		t.Errorf("a token from before the restart: status %d: %s", got.status, got.body)
	}
	p.interrupt(t)
}

func TestTheDemoOverTLS(t *testing.T) {
	p := start(t, "TLS=1")
	pem, err := os.ReadFile(p.authority(t))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the authority's file holds no certificate")
	}
	w := p.walk(t)
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	if !strings.HasPrefix(w.demo.GatewayURL, "https://") || !strings.HasPrefix(w.demo.IssuerURL, "https://") {
		t.Fatalf("gateway %s and issuer %s do not speak https", w.demo.GatewayURL, w.demo.IssuerURL)
	}
	token := w.logIn(t, "mobile", "alice", "openid", "eventcatalog.read", "shoppingbasket.write")
	var api seen
	w.api(t, whoami, token.AccessToken, "").read(t, http.StatusOK, &api)
	if api.Claims["iss"] != w.demo.IssuerURL || api.Claims["aud"] != "eventcatalog" {
		t.Errorf("claims over TLS: %v", api.Claims)
	}
	if got := w.api(t, basketPath, token.AccessToken, `{"event":"e1","quantity":2}`); got.status != http.StatusOK {
		t.Errorf("the basket, which calls the gateway over TLS too: status %d: %s", got.status, got.body)
	}
	w.http.CloseIdleConnections()
	p.interrupt(t)
}

func (p *process) authority(t *testing.T) string {
	t.Helper()
	for _, line := range p.out {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Authority" {
			return fields[1]
		}
	}
	t.Fatal("the demo did not print its authority")
	return ""
}

func TestWrongSettingsAreNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notAFolder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notAFolder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	free := []string{"GATEWAY_ADDR=localhost:0", "ISSUER_ADDR=localhost:0", "ADMIN_ADDR=localhost:0", "DISCOUNT_ADDR=localhost:0"}
	for name, c := range map[string]struct {
		env  []string
		says []string
	}{
		"a port in use":          {[]string{"GATEWAY_ADDR=" + taken.Addr().String()}, []string{"GATEWAY_ADDR", "in use"}},
		"the issuer's in use":    {[]string{"ISSUER_ADDR=" + taken.Addr().String()}, []string{"ISSUER_ADDR", "in use"}},
		"all faults at once":     {[]string{"GATEWAY_ADDR=8080", "ADMIN_ADDR=0.0.0.0:8091"}, []string{"GATEWAY_ADDR=8080", "ADMIN_ADDR=0.0.0.0:8091", "loopback"}},
		"one address for two":    {[]string{"GATEWAY_ADDR=localhost:18999", "ISSUER_ADDR=localhost:18999"}, []string{"differ"}},
		"TLS=yes, LOG_LEVEL=all": {[]string{"TLS=yes", "LOG_LEVEL=all"}, []string{"TLS=1", "LOG_LEVEL"}},
		"a file as data folder":  {[]string{"DATA_DIR=" + notAFolder}, []string{"DATA_DIR"}},
	} {
		t.Run(name, func(t *testing.T) {
			executable, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), executable)
			cmd.Env = slices.Concat(os.Environ(), []string{beTheDemo + "=1"}, free, c.env)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState.ExitCode() != 2 {
				t.Errorf("%v, want status 2:\n%s", err, out)
			}
			for _, part := range c.says {
				if !strings.Contains(string(out), part) {
					t.Errorf("it does not speak of %q:\n%s", part, out)
				}
			}
		})
	}
}
