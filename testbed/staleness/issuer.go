package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver"
	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

//go:embed issuer.yaml
var issuerFile []byte

// lab is where the scenarios run: the issuer's program, and a folder for its files.
type lab struct {
	root         string // the repository
	program, dir string
	staleness    time.Duration // max_staleness of every gateway: bound, but where clocks step, and in a control
}

func newLab(ctx context.Context, root string) (*lab, error) {
	dir, err := os.MkdirTemp("", "phantomgate-faults-")
	if err != nil {
		return nil, err
	}
	l := &lab{root: root, program: filepath.Join(dir, "authserver"), dir: dir, staleness: bound}
	build := exec.CommandContext(ctx, "go", "build", "-o", l.program, "./authserver/cmd/authserver")
	build.Dir = root
	if report, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("building the issuer: %w\n%s", err, report), l.close())
	}
	return l, nil
}

func (l *lab) close() error { return os.RemoveAll(l.dir) }

// issuer is the place of one issuer: its database and addresses stay the same however often it is started.
type issuer struct {
	*process    // which runs, unless it runs in this one
	lab         *lab
	dir         string // where its database is
	addr, admin string
	wires       []string // addresses for wires, whose Host it answers to
	config      string
	stop        func() error // while it runs in this process
	operator    string       // a reference of the operator
}

// start makes an issuer with an empty database, as a process that can be killed; or, with a clock, in this process. more is put
// behind its file.
func (l *lab) start(ctx context.Context, more string, now func() time.Time) (*issuer, error) {
	dir, err := os.MkdirTemp(l.dir, "issuer-")
	if err != nil {
		return nil, err
	}
	i := &issuer{lab: l, dir: dir, config: filepath.Join(dir, "issuer.yaml")}
	free, err := freeaddress.Find(4)
	if err != nil {
		return nil, err
	}
	i.addr, i.admin, i.wires = free[0], free[1], free[2:]
	if err := os.WriteFile(i.config, append(bytes.Clone(issuerFile), more...), 0o600); err != nil {
		return nil, err
	}
	i.process = &process{
		program: l.program, args: []string{"run", "--config", i.config, "--log-level", "error"},
		env: []string{"ISSUER_ADDR=" + i.addr, "ADMIN_ADDR=" + i.admin, "DATA_DIR=" + dir,
			"WIRE_1=" + i.wires[0], "WIRE_2=" + i.wires[1]},
		serves: "http://" + i.addr + "/healthz", http: newClient(),
	}
	if now == nil {
		return i, i.process.start(ctx)
	}
	return i, i.runHere(ctx, now)
}

func (i *issuer) runHere(ctx context.Context, now func() time.Time) error {
	server, err := authserver.New(authserver.Options{ConfigFile: i.config, Now: now, Logger: quiet(), Getenv: func(name string) (string, bool) {
		for _, pair := range i.env {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value, true
			}
		}
		return "", false
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	i.stop = func() error { cancel(); return <-ended }
	return answers(ctx, i.http, i.serves)
}

// backUp copies the database of an issuer that does not run: with its WAL, since it was killed.
func (i *issuer) backUp() error { return os.CopyFS(i.backup(), os.DirFS(i.dir)) }

func (i *issuer) backup() string { return i.dir + ".backup" }

// restore puts the backup in the place of the database. told: `authserver restored` is run on it.
func (i *issuer) restore(told bool) error {
	if err := errors.Join(os.RemoveAll(i.dir), os.CopyFS(i.dir, os.DirFS(i.backup()))); err != nil || !told {
		return err
	}
	cmd := exec.Command(i.lab.program, "restored", "--config", i.config, "--yes", "--with-wal")
	cmd.Env = append(os.Environ(), i.env...)
	if report, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("authserver restored: %w\n%s", err, report)
	}
	return nil
}

func (i *issuer) close() error {
	i.http.CloseIdleConnections()
	if i.stop != nil {
		return i.stop()
	}
	return i.kill()
}

// token gives a reference to a client by its secret.
func (i *issuer) token(client string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {client + "-demo-secret"}}
	resp, err := i.http.PostForm("http://"+i.addr+"/oauth/token", form)
	var answer struct {
		Access string `json:"access_token"`
	}
	return answer.Access, errors.Join(decode(resp, err, &answer), missing(answer.Access))
}

func missing(reference string) error {
	if reference == "" {
		return errors.New("no token was given")
	}
	return nil
}

// revoke carries one revocation out, and gives the moment of its answer. The operator logs in anew when its own token is gone.
func (i *issuer) revoke(target string) (answered time.Time, err error) {
	for try := 0; ; try++ {
		if i.operator == "" {
			if i.operator, err = i.token("operator"); err != nil {
				return time.Time{}, err
			}
		}
		req, err := http.NewRequest(http.MethodPost, "http://"+i.admin+"/admin/v1/revocations", strings.NewReader(target))
		if err != nil {
			return time.Time{}, err
		}
		req.Header.Set("Authorization", "Bearer "+i.operator)
		resp, err := i.http.Do(req)
		answered = time.Now()
		if err == nil && resp.StatusCode == http.StatusUnauthorized && try == 0 {
			_ = resp.Body.Close() // nobody reads it
			i.operator = ""
			continue
		}
		return answered, decode(resp, err, new(json.RawMessage))
	}
}

// revokeToken ends one reference.
func (i *issuer) revokeToken(reference string) (time.Time, error) {
	return i.revoke(`{"token":"` + reference + `"}`)
}

// active asks the issuer itself, as the gateway.
func (i *issuer) active(reference string) (bool, error) {
	form := url.Values{"client_id": {"gateway"}, "client_secret": {"gateway-demo-secret"}, "token": {reference}}
	resp, err := i.http.PostForm("http://"+i.addr+"/oauth/introspect", form)
	var answer struct{ Active bool }
	err = decode(resp, err, &answer)
	return answer.Active, err
}

// decode reads an answer that must be a success.
func decode(resp *http.Response, err error, into any) error {
	text, err := body(resp, err)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// body is that of an answer that must be a success.
func body(resp *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %d: %s", resp.Request.URL, resp.StatusCode, text)
	}
	return text, nil
}
