// Package authserver is phantomgate's issuer: an OAuth 2 and OpenID Connect authorization server that hands out opaque
// references and keeps the token's value to itself, mints short-lived narrow JWTs at introspection, and revokes by any
// reach in one small write.
//
// What is answered is durable: an answered token is honoured, and an answered revocation holds, on every node and after
// any crash. A phantom token that was minted before a revocation stays valid for the API that holds it until it expires,
// five minutes at most.
package authserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/server"
	"github.com/phantomgate/phantomgate/authserver/internal/telemetry"
)

// Options say which issuer to run. Either ConfigFile or ConfigYAML is needed; the rest has defaults.
type Options struct {
	ConfigFile string // the YAML file
	ConfigYAML []byte // or its content; relative paths in it are then relative to the working directory

	Getenv func(name string) (string, bool) // os.LookupEnv
	Logger *slog.Logger                     // slog.Default()
	Now    func() time.Time                 // time.Now

	// Listeners that are open already, in place of `listen` and `admin.listen`.
	Listener, AdminListener net.Listener
}

// Server is one node of the issuer.
type Server struct {
	options Options
	config  config.Config
	inner   *server.Server
	ready   chan struct{}
}

// ConfigError says that the config is refused. Its text has every fault on a line of its own.
type ConfigError struct{ err error }

func (e *ConfigError) Error() string { return e.err.Error() }

// Unwrap gives the faults.
func (e *ConfigError) Unwrap() error { return e.err }

// New reads the config, opens the store and makes the keys. It refuses a config with a *ConfigError that tells all its
// faults. Run must be called, or what it holds is not given back.
func New(o Options) (*Server, error) {
	o = o.withDefaults()
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	o.Logger = telemetry.Logger(o.Logger.Handler())
	for _, warning := range cfg.Warnings {
		o.Logger.Warn(warning)
	}
	inner, err := server.New(context.Background(), server.Options{Config: cfg, Log: o.Logger, Now: o.Now})
	if err != nil {
		return nil, fmt.Errorf("authserver: %w", err)
	}
	return &Server{options: o, config: cfg, inner: inner, ready: make(chan struct{})}, nil
}

func (o Options) withDefaults() Options {
	if o.Getenv == nil {
		o.Getenv = os.LookupEnv
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func load(o Options) (config.Config, error) {
	var cfg config.Config
	var err error
	switch {
	case o.ConfigFile != "" && o.ConfigYAML != nil:
		err = errors.New("authserver: ConfigFile and ConfigYAML exclude each other")
	case o.ConfigFile != "":
		cfg, err = config.Load(o.ConfigFile, o.Getenv)
	default:
		cfg, err = config.Parse("config", o.ConfigYAML, ".", o.Getenv)
	}
	if err != nil {
		return cfg, &ConfigError{err}
	}
	return cfg, nil
}

// Ready is closed once both listeners accept connections.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Issuer is the public name: `iss`, and the base of every public URL.
func (s *Server) Issuer() string { return s.config.Issuer }

// drain is how long requests under way may take to end.
const drain = 5 * time.Second

// Run serves until ctx ends, lets requests under way end, and closes the store. It returns nil after a clean end. It
// can be called once.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	public, admin, err := s.listen()
	if err != nil {
		return errors.Join(err, s.inner.Close())
	}
	var running sync.WaitGroup
	running.Go(func() { s.inner.Work(ctx) })
	for _, side := range []struct {
		listener net.Listener
		handler  http.Handler
	}{{public, s.inner.Public}, {admin, s.inner.Admin}} {
		running.Go(func() {
			if err := s.serve(ctx, side.listener, side.handler); err != nil {
				stop(err)
			}
		})
	}
	close(s.ready)
	s.options.Logger.Info("listening", "issuer", s.config.Issuer, "public", public.Addr().String(), "admin", admin.Addr().String())
	<-ctx.Done()
	running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(fmt.Errorf("authserver: %w", err), s.inner.Close())
	}
	return s.inner.Close()
}

func (s *Server) listen() (public, admin net.Listener, err error) {
	if public, err = listener(s.options.Listener, s.config.Listen, "listen"); err != nil {
		return nil, nil, err
	}
	if admin, err = listener(s.options.AdminListener, s.config.Admin.Listen, "admin.listen"); err != nil {
		return nil, nil, errors.Join(err, public.Close())
	}
	if s.config.TLS != nil {
		certificate, err := tls.LoadX509KeyPair(s.config.TLS.CertFile, s.config.TLS.KeyFile)
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("authserver: tls: %w", err), public.Close(), admin.Close())
		}
		public = tls.NewListener(public, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	return public, admin, nil
}

func listener(open net.Listener, address, key string) (net.Listener, error) {
	if open != nil {
		return open, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("authserver: %s: %w; choose another address, or stop the program that has this one", key, err)
	}
	return l, nil
}

// serve answers on one listener until ctx ends. The limits keep a slow or greedy stranger from holding what others need.
func (s *Server) serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(patience); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}
