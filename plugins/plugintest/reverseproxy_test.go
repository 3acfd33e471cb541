package plugintest

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// reverseProxy is the smallest binding there can be, over net/http: the model
// for the others. The controls put their faults into it by its fields.
type reverseProxy struct {
	config    func(c *gateway.Config)                          // changes the config
	transport func() http.RoundTripper                         // stands before the issuer
	wrap      func(core *core, next http.Handler) http.Handler // takes the place of authorized
	lenient   bool                                             // starts whatever the config says
}

// core is the gateway behind a reverseProxy, with what a fault may need.
type core struct {
	*gateway.Gateway
	config gateway.Config
	logger *slog.Logger
}

func (reverseProxy) Name() string { return "net/http reverse proxy" }

func (b reverseProxy) Start(t testing.TB, config []byte, upstreamURL string) (Gateway, error) {
	parsed, err := gateway.Parse(config)
	if b.lenient && err != nil {
		return Gateway{URL: upstreamURL, Log: func() string { return "" }}, nil
	}
	if err != nil {
		return Gateway{}, err
	}
	if b.config != nil {
		b.config(&parsed)
	}
	log := &logBuffer{}
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	options := gateway.Options{Logger: logger}
	if b.transport != nil {
		options.Transport = b.transport()
	}
	g, err := gateway.New(parsed, options)
	if b.lenient && err != nil {
		return Gateway{URL: upstreamURL, Log: func() string { return "" }}, nil
	}
	if err != nil {
		return Gateway{}, err
	}
	t.Cleanup(func() { g.Close() })
	upstream, err := url.Parse(upstreamURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError),
	}
	handler := authorized(g, proxy)
	if b.wrap != nil {
		handler = b.wrap(&core{g, parsed, logger}, proxy)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = proxy.ErrorLog
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return Gateway{URL: server.URL, Log: log.String}, nil
}

// authorized is the whole of a binding's work on a request.
func authorized(g *gateway.Gateway, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.ServeAgent(w, r) {
			return
		}
		outcome := g.Authorize(r)
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(outcome.Writer(w), r)
	})
}

// logBuffer collects a log that is written from many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestReverseProxy(t *testing.T) { Run(t, reverseProxy{}) }

// TestReference holds the suite's references against vectors that every part
// of the project shares.
func TestReference(t *testing.T) {
	for _, v := range []struct {
		prefix string
		bits   [32]byte
		want   string
	}{
		{"pgat_", [32]byte{}, "pgat_00000000000000000000000000000000000000000001veP1o"},
		{"pgat_", [32]byte(bytes.Repeat([]byte{0xff}, 32)), "pgat_YHJSKWDa6oz1al1yMhwzwM8llg7hJNUca2J5RoW8xP147QcmD"},
		{"pgrt_", [32]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
			"pgrt_003AuLtjc7TJLctqJ2Unu3mfAGcxg9lrkrCWgKbidLF0eDria"},
	} {
		if got := encodeReference(v.prefix, v.bits[:]); got != v.want {
			t.Errorf("got %s; want %s", got, v.want)
		}
	}
	if n := len(NewReference()); n != 54 {
		t.Errorf("a reference has %d characters; want 54", n)
	}
}
