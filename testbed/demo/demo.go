// Package demo brings up the whole walk in one process: the issuer, the gateway (Caddy with phantomgate's plugin) and the
// APIs behind it, with the names, secrets and users that everybody may know. Command demo runs it for a person, and the
// end-to-end tests run it for themselves.
//
// Caddy has one configuration a process, so there is one running Demo a process.
package demo

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/phantomgate/phantomgate/authserver"
)

//go:embed issuer.yaml
var issuerFile []byte

// The secrets of the clients "gateway" and "spa" in issuer.yaml.
const (
	gatewaySecret = "gateway-demo-secret"
	spaSecret     = "spa-demo-secret"
)

// shutdownTime is how long requests in flight may take when the demo ends.
const shutdownTime = 5 * time.Second

// Demo is a running demo.
type Demo struct {
	GatewayURL string
	IssuerURL  string
	AdminURL   string
	CAFile     string // the certificate that signed the others; empty without TLS

	// DiscountURL is the discount API, to which the gateway has no route.
	DiscountURL string
	// EventcatalogURL and ShoppingbasketURL are the APIs themselves, past the gateway, for tests that bypass it.
	EventcatalogURL, ShoppingbasketURL string

	stops  []func() error // in the order in which they were begun
	failed chan error
}

// Start brings everything up and returns once all of it answers. Close ends it. When Start fails, nothing is left.
func Start(ctx context.Context, opts Options) (_ *Demo, err error) {
	plan, err := opts.plan()
	if err != nil {
		return nil, err
	}
	d := &Demo{GatewayURL: plan.gateway.url(plan.scheme), IssuerURL: plan.issuer.url(plan.scheme), AdminURL: plan.admin.url("http"), failed: make(chan error, 6)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	dir, err := d.openDataDir(opts.DataDir)
	if err != nil {
		return nil, err
	}
	settings := plan.settings(dir, opts.logLevel())
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: opts.LogLevel}))
	if err := d.startIssuer(ctx, settings, logger.With("part", "issuer")); err != nil {
		return nil, err
	}
	file := gatewayFile
	if plan.scheme == "https" {
		file += "\n" + tlsFile
		d.CAFile = filepath.Join(dir, "caddy", "pki", "authorities", "local", "root.crt")
	}
	if err := d.startAPIs(plan, settings, logger); err != nil {
		return nil, err
	}
	d.stops = append(d.stops, stopCaddy) // also after a start that failed half-way
	if err := startCaddy(file, settings); err != nil {
		return nil, err
	}
	if d.CAFile != "" {
		if err := awaitCertificates(ctx, d.CAFile, plan.gateway, plan.issuer); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Wait returns when ctx ends (nil) or a part of the demo has failed.
func (d *Demo) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.failed:
		return err
	}
}

// Close ends the gateway first, then what stands behind it, and removes the data folder unless one was given.
func (d *Demo) Close() error {
	var errs []error
	for len(d.stops) > 0 {
		last := len(d.stops) - 1
		errs = append(errs, d.stops[last]())
		d.stops = d.stops[:last]
	}
	return errors.Join(errs...)
}

// openDataDir makes the folder in which everything is kept, with the secrets of gateway and shop.
func (d *Demo) openDataDir(dir string) (string, error) {
	if dir == "" {
		made, err := os.MkdirTemp("", "phantomgate-demo-")
		if err != nil {
			return "", fmt.Errorf("making a data folder (DATA_DIR names another): %w", err)
		}
		dir = made
		d.stops = append(d.stops, func() error { return os.RemoveAll(made) })
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("DATA_DIR: %w", err)
	}
	// The keys lie apart from the database, which may be copied without them.
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return "", fmt.Errorf("DATA_DIR: %w", err)
	}
	for name, secret := range map[string]string{"gateway.secret": gatewaySecret, "spa.secret": spaSecret} {
		if err := os.WriteFile(filepath.Join(keys, name), []byte(secret+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("DATA_DIR: %w", err)
		}
	}
	return dir, makeCookieKey(filepath.Join(keys, "cookie.key"))
}

// makeCookieKey makes the key that seals the shop's cookies, unless the folder has one: who is signed in stays so.
func makeCookieKey(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	_, err = file.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	return nil
}

func (d *Demo) startIssuer(ctx context.Context, settings map[string]string, logger *slog.Logger) error {
	server, err := authserver.New(authserver.Options{
		ConfigYAML: issuerFile,
		Getenv:     func(name string) (string, bool) { value, ok := settings[name]; return value, ok },
		Logger:     logger,
	})
	if err != nil {
		return fmt.Errorf("the issuer's config: %w", err)
	}
	// It outlives ctx, which only bounds the start: the gateway and the APIs stop before it does.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := server.Run(running)
		ended <- err
		if running.Err() == nil {
			d.failed <- fmt.Errorf("the issuer has ended: %w", err)
		}
	}()
	d.stops = append(d.stops, func() error { cancel(); return <-ended })
	select {
	case <-server.Ready():
		return nil
	case err := <-ended:
		ended <- nil // Close waits for it too
		return fmt.Errorf("starting the issuer: %w", err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
