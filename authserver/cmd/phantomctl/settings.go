package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// The environment variables that stand in for flags.
const (
	envIssuer = "PHANTOMCTL_ISSUER"
	envAdmin  = "PHANTOMCTL_ADMIN"
	envSecret = "PHANTOMCTL_SECRET"
)

// settings say which issuer is operated, and as whom.
type settings struct {
	issuer, admin string
	client        string
	secretFile    string
	ca            string
}

func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.issuer, "issuer", "", "the issuer's `URL`, its public name (or "+envIssuer+")")
	f.StringVar(&s.admin, "admin", "", "the `URL` of its admin API, up to the port (or "+envAdmin+")")
	f.StringVar(&s.client, "as", "operator", "the `client` that operates it: client credentials, scope admin")
	f.StringVar(&s.ca, "ca", "", "the `FILE` with the certificate of a private CA, which alone is trusted then")
	f.StringVar(&s.secretFile, "secret-file", "", "the `FILE` with that client's secret (or the secret in "+envSecret+")")
}

// account is a client's id and secret.
type account struct{ id, secret string }

// resolve fills in the environment and refuses what is missing.
func (s settings) resolve(getenv func(string) string) (issuer, admin string, as account, err error) {
	if issuer, err = address("--issuer", envIssuer, cmp.Or(s.issuer, getenv(envIssuer))); err != nil {
		return "", "", account{}, err
	}
	if admin, err = address("--admin", envAdmin, cmp.Or(s.admin, getenv(envAdmin))); err != nil {
		return "", "", account{}, err
	}
	secret, err := s.secret(getenv)
	if err != nil {
		return "", "", account{}, err
	}
	if s.client == "" {
		return "", "", account{}, usagef("--as is empty: name the client that operates the issuer")
	}
	return issuer, admin, account{s.client, secret}, nil
}

func (s settings) secret(getenv func(string) string) (string, error) {
	if s.secretFile == "" {
		if secret := getenv(envSecret); secret != "" {
			return secret, nil
		}
		return "", usagef("there is no secret: name its file with --secret-file, or set %s", envSecret)
	}
	file, err := os.Open(s.secretFile)
	if err != nil {
		return "", usagef("--secret-file: %w; put the client's secret into that file", err)
	}
	defer func() { _ = file.Close() }() // only read
	text, err := readShort(file)
	if err != nil {
		return "", usagef("--secret-file: %s: %w; it has the client's secret and nothing else", s.secretFile, err)
	}
	return text, nil
}

// maxShort is the longest secret or token that is read from a file, in bytes.
const maxShort = 4096

// readShort reads one line: a secret, or a token.
func readShort(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxShort+1))
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New("it is empty")
	case len(data) > maxShort, strings.ContainsAny(text, "\r\n"):
		return "", errors.New("it has more than one line, or a very long one")
	}
	return text, nil
}

// address refuses what would send a secret in the open, or nowhere.
func address(flag, variable, value string) (string, error) {
	if value == "" {
		return "", usagef("%s is missing: give it, or set %s", flag, variable)
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return "", usagef("%s: write it like https://id.example.com:8091: scheme, host and port, and nothing after them", flag)
	}
	if err := safe(u); err != nil {
		return "", usagef("%s: %w", flag, err)
	}
	return u.Scheme + "://" + u.Host, nil
}

// safe lets https through, and http to this machine.
func safe(u *url.URL) error {
	host := u.Hostname()
	loopback := host == "localhost" || net.ParseIP(host).IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && loopback {
		return nil
	}
	return fmt.Errorf("%s://%s would carry secrets in the open: use https, or http to this machine's loopback (through a tunnel: ssh -L)", u.Scheme, u.Host)
}
