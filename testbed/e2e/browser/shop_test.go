package browser

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/demo"
)

// shop is where the demo's parts are.
type shop struct{ url, issuer, admin string }

var (
	running     *demo.Demo
	startOnce   sync.Once
	errStarting error
)

// theShop gives the one demo of this test process, started when the first test needs it. TestMain ends it.
func theShop(t *testing.T) shop {
	t.Helper()
	startOnce.Do(func() {
		running, errStarting = demo.Start(context.Background(), demo.Options{
			GatewayAddr: "localhost:0", IssuerAddr: "localhost:0", AdminAddr: "localhost:0", DiscountAddr: "localhost:0", LogLevel: slog.LevelError,
		})
	})
	if errStarting != nil {
		t.Fatal(errStarting)
	}
	return shop{running.GatewayURL, running.IssuerURL, running.AdminURL}
}

func TestMain(m *testing.M) {
	status := m.Run()
	if running != nil {
		if err := running.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "browser: the demo did not end cleanly:", err)
			status = 1
		}
	}
	os.Exit(status)
}

// serve serves a page of somebody else's until the test ends, and gives its address by the name localhost.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() }) // the browser has gone
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "localhost:" + port
}
