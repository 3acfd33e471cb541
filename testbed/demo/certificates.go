package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	certificatePatience = 30 * time.Second
	certificateInterval = 10 * time.Millisecond
)

// awaitCertificates returns once each address has a certificate of the authority in caFile. Caddy makes certificates after
// it has begun to listen, and refuses handshakes until then.
func awaitCertificates(ctx context.Context, caFile string, addresses ...address) error {
	ctx, cancel := context.WithTimeoutCause(ctx, certificatePatience, errors.New("it took too long"))
	defer cancel()
	for _, a := range addresses {
		for {
			err := handshake(ctx, caFile, a)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for the certificate of %s: %w (%w)", a, context.Cause(ctx), err)
			case <-time.After(certificateInterval):
			}
		}
	}
	return nil
}

func handshake(ctx context.Context, caFile string, a address) error {
	pool, err := authorities(caFile)
	if err != nil {
		return err
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: a.host}}).DialContext(ctx, "tcp", a.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// authorities reads the certificates that sign others.
func authorities(caFile string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	return pool, nil
}
