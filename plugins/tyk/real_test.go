//go:build realtyk

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// These tests try the built plugin in a real gateway process: `make tyk-test TYK_SRC=… TYK_BIN=…`. They are built with the tag
// realtyk only, since neither the gateway nor its source can be had from a module proxy.

// realTyk runs a gateway process for the cases of one shape. Each case puts its API in the place of the last one's and has the
// gateway reload; a case that starts its gateway twice gets a new process for it.
type realTyk struct {
	shape   shape
	redis   string // address
	folder  string // for what its processes leave, until all cases have ended
	process *tykProcess
	started map[testing.TB]bool
	apiSeen bool
}

func (g *realTyk) Name() string { return "Tyk, " + g.shape.name }

func (g *realTyk) Start(t testing.TB, config []byte, upstreamURL string) (plugintest.Gateway, error) {
	if g.started[t] || g.process == nil {
		g.restart(t)
	}
	g.started[t] = true
	p := g.process
	from := len(p.log(t))
	p.load(t, g.shape.oas, g.shape.definition(object(t, config), upstreamURL, os.Getenv("TYK_PLUGIN")), g.apiSeen)
	g.apiSeen = true
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Tyk's log:\n%s", tail(p.log(t)[from:], 60))
		}
	})
	// A definition is read with its first request. This one is refused by every config that is not.
	response, err := http.Get(p.url + "/phantomgate//probe")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if strings.Contains(string(body), "configuration_refused") {
		return plugintest.Gateway{}, errors.New(p.log(t)[from:])
	}
	return plugintest.Gateway{URL: p.url, Log: func() string { return p.log(t)[from:] }}, nil
}

// restart ends the process, if there is one, and starts another.
func (g *realTyk) restart(t testing.TB) {
	if g.process != nil {
		g.process.stop()
	}
	g.process, g.apiSeen = startTyk(t, g.redis, g.folder, nil), false
}

// tykProcess is a running gateway.
type tykProcess struct {
	url     string
	ruled   string // the URL of Tyk's own API
	folder  string
	logFile string
	cmd     *exec.Cmd
	ended   chan struct{}
}

const controlSecret = "control-secret"

// startTyk starts a gateway without APIs, in a folder below root; its config is changed by change if that is set.
func startTyk(t testing.TB, redis, root string, change func(config map[string]any)) *tykProcess {
	t.Helper()
	folder, err := os.MkdirTemp(root, "tyk")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	host, redisPort, _ := net.SplitHostPort(redis)
	config := map[string]any{
		"listen_address": "127.0.0.1", "listen_port": json.Number(port), "secret": controlSecret, "node_secret": controlSecret,
		"template_path": filepath.Join(os.Getenv("TYK_SRC"), "templates"), "app_path": filepath.Join(folder, "apps"),
		"middleware_path": folder, "use_db_app_configs": false, "enable_analytics": true, "hash_keys": true,
		"max_idle_connections_per_host": 500, // as for production: by default Tyk dials anew under load
		"analytics_config":              map[string]any{"enable_detailed_recording": false, "purge_delay": -1, "pool_size": 1, "records_buffer_size": 1},
		"hash_key_function":             "murmur128", "allow_insecure_configs": true,
		"storage":                  map[string]any{"type": "redis", "host": host, "port": json.Number(redisPort)},
		"policies":                 map[string]any{"policy_source": "file", "policy_record_name": filepath.Join(folder, "policies.json"), "allow_explicit_policy_id": true},
		"http_server_options":      map[string]any{"enable_websockets": true, "flush_interval": 1, "skip_url_cleaning": true, "skip_target_path_escaping": true},
		"enable_bundle_downloader": true, "bundle_base_url": "file://" + folder + "/bundles/", "enable_jsvm": false,
	}
	ruled := "http://127.0.0.1:" + port
	if change != nil {
		change(config)
	}
	if own, ok := config["control_api_port"].(json.Number); ok {
		ruled = "http://127.0.0.1:" + own.String()
	}
	for _, dir := range []string{"apps", "bundles"} {
		if err := os.Mkdir(filepath.Join(folder, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]any{"tyk.conf": config, "policies.json": policies} {
		if err := os.WriteFile(filepath.Join(folder, name), text(t, content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := &tykProcess{url: "http://127.0.0.1:" + port, ruled: ruled, folder: folder, logFile: filepath.Join(folder, "log"), ended: make(chan struct{})}
	logFile, err := os.Create(p.logFile)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(os.Getenv("TYK_BIN"), "--conf="+filepath.Join(folder, "tyk.conf"))
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = folder, logFile, logFile
	p.cmd.Env = append(os.Environ(), "TYK_LOGLEVEL="+cmp.Or(os.Getenv("TYK_LOGLEVEL"), "debug"))
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = p.cmd.Wait(); logFile.Close() }()
	eventually(t, "Tyk is up: "+p.logFile, func() bool {
		response, err := http.Get(p.ruled + "/hello")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode == 200 && strings.Contains(string(body), `"pass"`)
	})
	return p
}

// policies of Tyk, for sessions: three requests for a user of a client, and a quota of four.
var policies = map[string]any{
	"limited": map[string]any{"id": "limited", "org_id": "org", "active": true, "rate": 3, "per": 60, "quota_max": -1, "access_rights": rights},
	"quota":   map[string]any{"id": "quota", "org_id": "org", "active": true, "rate": 1000, "per": 1, "quota_max": 4, "quota_renewal_rate": 3600, "access_rights": rights},
}

var rights = map[string]any{"api": map[string]any{"api_id": "api", "api_name": "the API", "versions": []string{"Default"}}}

func (p *tykProcess) stop() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *tykProcess) log(t testing.TB) string {
	content, err := os.ReadFile(p.logFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// control asks Tyk's own API.
func (p *tykProcess) control(t testing.TB, method, path string, body any) string {
	t.Helper()
	r, err := http.NewRequest(method, p.ruled+path, bytes.NewReader(text(t, body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Tyk-Authorization", controlSecret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s\n%s", method, path, response.StatusCode, answer, tail(p.log(t), 20))
	}
	return string(answer)
}

// load puts an API into the gateway, or in the place of one, and waits until it serves it.
func (p *tykProcess) load(t testing.TB, openAPI bool, definition map[string]any, replaces bool) {
	t.Helper()
	path := "/tyk/apis"
	id, _ := definition["api_id"].(string)
	if openAPI {
		path += "/oas"
		id, _ = at(definition, "x-tyk-api-gateway", "info")["id"].(string)
	}
	if replaces {
		p.control(t, "PUT", path+"/"+id, definition)
	} else {
		p.control(t, "POST", path, definition)
	}
	p.control(t, "GET", "/tyk/reload/?block=true", nil)
}

func tail(log string, lines int) string {
	all := strings.Split(log, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startRedis runs a Redis that keeps nothing.
func startRedis(t *testing.T) (address string) {
	t.Helper()
	port := freePort(t)
	cmd := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address = "127.0.0.1:" + port
	eventually(t, "Redis is up", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// TestReal is the suite that every binding passes, in a real gateway.
func TestReal(t *testing.T) {
	for _, name := range []string{"TYK_BIN", "TYK_SRC", "TYK_PLUGIN"} {
		if os.Getenv(name) == "" {
			t.Fatalf("%s is not set; `make tyk-test` sets it", name)
		}
	}
	redis := startRedis(t)
	for _, shape := range shapes() {
		t.Run(shape.name, func(t *testing.T) {
			g := &realTyk{shape: shape, redis: redis, folder: t.TempDir(), started: map[testing.TB]bool{}}
			t.Cleanup(func() {
				if g.process != nil {
					g.process.stop()
				}
			})
			plugintest.Run(t, g)
		})
	}
}
