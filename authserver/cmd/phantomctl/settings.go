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

	envSecretFile    = "PHANTOMCTL_SECRET_FILE"
	envAdminOverHTTP = "PHANTOMCTL_INSECURE_ADMIN_OVER_HTTP"
)

// settings say which issuer is operated, and as whom.
type settings struct {
	issuer, admin string
	client        string
	secretFile    string
	ca            string
	adminOverHTTP bool // whoever sits on that network can read the operator's token
}

func (s *settings) flags(f *pflag.FlagSet) {
	f.StringVar(&s.issuer, "issuer", "", "the issuer's `URL`, its public name (or "+envIssuer+")")
	f.StringVar(&s.admin, "admin", "", "the `URL` of its admin API, up to the port (or "+envAdmin+")")
	f.StringVar(&s.client, "as", "operator", "the `client` that operates it: client credentials, scope admin")
	f.StringVar(&s.ca, "ca", "", "the `FILE` with the certificate of a private CA, which alone is trusted then")
	f.StringVar(&s.secretFile, "secret-file", "", "the `FILE` with that client's secret (or "+envSecretFile+", or the secret in "+envSecret+")")
	f.BoolVar(&s.adminOverHTTP, "insecure-admin-over-http", false, "--admin may be plain http elsewhere than on loopback: for a network that is yours alone (or "+envAdminOverHTTP+"=1)")
}

// account is a client's id and secret.
type account struct{ id, secret string }

// resolve fills in the environment and refuses what is missing.
func (s settings) resolve(getenv func(string) string) (issuer, admin string, as account, err error) {
	if issuer, err = address("--issuer", envIssuer, cmp.Or(s.issuer, getenv(envIssuer)), false); err != nil {
		return "", "", account{}, err
	}
	overHTTP, err := s.allowsHTTP(getenv)
	if err != nil {
		return "", "", account{}, err
	}
	if admin, err = address("--admin", envAdmin, cmp.Or(s.admin, getenv(envAdmin)), overHTTP); err != nil {
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

func (s settings) allowsHTTP(getenv func(string) string) (bool, error) {
	switch value := getenv(envAdminOverHTTP); value {
	case "", "0":
		return s.adminOverHTTP, nil
	case "1":
		return true, nil
	default:
		return false, usagef("%s=%q is neither 0 nor 1", envAdminOverHTTP, value)
	}
}

func (s settings) secret(getenv func(string) string) (string, error) {
	name, flag := s.secretFile, "--secret-file"
	if name == "" && getenv(envSecret) == "" {
		name, flag = getenv(envSecretFile), envSecretFile
	}
	if name == "" {
		if secret := getenv(envSecret); secret != "" {
			return secret, nil
		}
		return "", usagef("there is no secret: name its file with --secret-file or %s, or set %s", envSecretFile, envSecret)
	}
	file, err := os.Open(name)
	if err != nil {
		return "", usagef("%s: %w; put the client's secret into that file", flag, err)
	}
	defer func() { _ = file.Close() }() // only read
	text, err := readShort(file)
	if err != nil {
		return "", usagef("%s: %s: %w; it has the client's secret and nothing else", flag, name, err)
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

// address refuses what would send a secret in the open, unless that is allowed, or nowhere.
func address(flag, variable, value string, overHTTP bool) (string, error) {
	if value == "" {
		return "", usagef("%s is missing: give it, or set %s", flag, variable)
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return "", usagef("%s: write it like https://id.example.com:8091: scheme, host and port, and nothing after them", flag)
	}
	if err := safe(u); err != nil && !(overHTTP && u.Scheme == "http") {
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
