package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// secretSource is the three ways to give a secret, of which exactly one is used.
type secretSource struct {
	field           string // of the value itself, such as "issuer.clientSecret"; the others are fieldFile and fieldEnv
	value           Secret
	fromFile, byEnv string
}

func (i Issuer) secret() secretSource {
	return secretSource{"issuer.clientSecret", i.ClientSecret, i.ClientSecretFile, i.ClientSecretEnv}
}

// Fingerprint is an HMAC (RFC 2104, SHA-256) of purpose under all the secrets that c names: the same at every replica that has
// them, and not to be foreseen by whoever has not. It is for bindings that keep a gateway beyond a reload, in which a file
// may have got another secret, or that name things after users. getenv is os.LookupEnv when nil. A secret that cannot be had
// is a fault, which New reports too.
func (c Config) Fingerprint(purpose string, getenv func(string) (string, bool)) ([]byte, error) {
	if getenv == nil {
		getenv = os.LookupEnv
	}
	sources := []secretSource{c.Issuer.secret()}
	if c.TokenHandler != nil {
		sources = append(sources, c.TokenHandler.secret())
		for i, key := range c.TokenHandler.CookieKeys {
			sources = append(sources, key.secret(i))
		}
	}
	key := sha256.New()
	for _, source := range sources {
		secret, fault := source.read(getenv)
		if fault != nil {
			return nil, fault
		}
		fmt.Fprintf(key, "%d:%s", len(secret), secret)
	}
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write([]byte(purpose))
	return mac.Sum(nil), nil
}

const mostSecret = 4096

// check tells whether exactly one way is used.
func (s secretSource) check() error {
	given := 0
	for _, v := range []string{string(s.value), s.fromFile, s.byEnv} {
		if v != "" {
			given++
		}
	}
	name := s.field[strings.LastIndexByte(s.field, '.')+1:]
	switch {
	case given == 0:
		return fmt.Errorf("missing; give %sFile, %sEnv or %s", name, name, name)
	case given > 1:
		return fmt.Errorf("given more than once; keep one of %sFile, %sEnv and %s", name, name, name)
	}
	return nil
}

// read returns the secret. No fault names its value. More than one way, or none, is check's to report.
func (s secretSource) read(getenv func(string) (string, bool)) (string, *Fault) {
	switch {
	case s.fromFile != "":
		secret, err := readSecret(s.fromFile)
		if err != nil {
			return "", &Fault{s.field + "File", err.Error()}
		}
		return secret, nil
	case s.byEnv != "":
		secret, _ := getenv(s.byEnv)
		if secret == "" {
			return "", &Fault{s.field + "Env", "the environment has no " + s.byEnv + "; set it, or name another"}
		}
		return secret, nil
	}
	return string(s.value), nil
}

// readSecret reads a file. A line break at the end, which editors add, does not belong to the secret.
func readSecret(name string) (string, error) {
	const fix = "make it readable, or name another file"
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("%w; %s", err, fix)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, mostSecret+1))
	secret := strings.TrimRight(string(data), "\r\n")
	switch {
	case err != nil:
		return "", fmt.Errorf("%w; %s", err, fix)
	case secret == "":
		return "", errors.New(name + " is empty; write the secret into it")
	case len(data) > mostSecret:
		return "", errors.New(name + " is too long to be a secret; name a file that holds nothing else")
	}
	return secret, nil
}
