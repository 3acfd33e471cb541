// Package authservertest runs a whole issuer inside a test: on free loopback ports, with an empty database in the test's
// own folder, and with a clock that the test may hold.
package authservertest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver"
)

// Options change what New starts. The zero Options are fine.
type Options struct {
	// Config is the YAML, in which ${ISSUER}, ${ISSUER_ADDR}, ${ADMIN_ADDR} and ${DATA_DIR} stand for what New chose.
	// It begins after the lines that New writes itself: issuer, listen, admin, storage and data_key. Empty: no client.
	Config string
	Env    map[string]string // further variables of the config
	Logger *slog.Logger      // default: nothing is logged
	Now    func() time.Time  // default: time.Now
	Dir    string            // keeps the database; default: a new folder that the test removes
}

// Issuer is a running issuer.
type Issuer struct {
	URL   string // the issuer's name, and where its public side is
	Admin string // where its operators' side is
	Dir   string // where its database is

	stop func() error
}

// header is what every test's issuer has in common. The data key lies beside the database: a test has no other place.
const header = `
demo: true
issuer: ${ISSUER}
listen: ${ISSUER_ADDR}
admin: {listen: "${ADMIN_ADDR}"}
storage: {sqlite: "${DATA_DIR}/db/issuer.db"}
data_key: {file: "${DATA_DIR}/data.key"}
`

// New starts an issuer and ends it with the test.
func New(t testing.TB, o Options) *Issuer {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	public, admin := listen(t), listen(t)
	i := &Issuer{URL: "http://" + public.Addr().String(), Admin: "http://" + admin.Addr().String(), Dir: o.Dir}
	env := map[string]string{
		"ISSUER": i.URL, "ISSUER_ADDR": public.Addr().String(), "ADMIN_ADDR": admin.Addr().String(), "DATA_DIR": o.Dir,
	}
	for name, value := range o.Env {
		env[name] = value
	}
	writeDataKey(t, filepath.Join(o.Dir, "data.key"))
	server, err := authserver.New(authserver.Options{
		ConfigYAML: []byte(strings.TrimSpace(header) + "\n" + o.Config), Logger: o.Logger, Now: o.Now,
		Getenv:   func(name string) (string, bool) { value, ok := env[name]; return value, ok },
		Listener: public, AdminListener: admin,
	})
	if err != nil {
		t.Fatalf("authservertest: %v", err)
	}
	i.run(t, server)
	return i
}

func (i *Issuer) run(t testing.TB, server *authserver.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	i.stop = func() error {
		cancel()
		err := <-ended
		ended <- err // for whoever asks again
		return err
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := i.stop(); err != nil {
			t.Errorf("authservertest: %v", err)
		}
	})
	<-server.Ready()
}

// Stop ends the issuer before the test does: requests under way are answered, and the database is closed.
func (i *Issuer) Stop(t testing.TB) {
	t.Helper()
	if err := i.stop(); err != nil {
		t.Errorf("authservertest: %v", err)
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// writeDataKey keeps a key that is there: an issuer started again in the same folder reads what it wrote.
func writeDataKey(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
}
