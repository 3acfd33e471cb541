package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// maxAuthorities is the longest file of certificates that is read, in bytes.
const maxAuthorities = 1 << 20

// transport reaches the issuer. With --ca only what its certificates have signed is believed, at the issuer and its admin API.
func (s settings) transport() (http.RoundTripper, error) {
	if s.ca == "" {
		return http.DefaultTransport, nil
	}
	authorities, err := readAuthorities(s.ca)
	if err != nil {
		return nil, usagef("--ca: %w", err)
	}
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("this program's HTTP transport is not the standard one")
	}
	own := standard.Clone()
	own.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	return own, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name the file with your CA's certificate (PEM)", err)
	}
	defer func() { _ = file.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(file, maxAuthorities))
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s has no certificate in it; name the file with your CA's certificate: PEM, from BEGIN CERTIFICATE on", path)
	}
	return authorities, nil
}

// untrusted tells whether the other side showed a certificate that nobody who is trusted has signed.
func untrusted(err error) bool {
	var unknown x509.UnknownAuthorityError
	return errors.As(err, &unknown)
}
