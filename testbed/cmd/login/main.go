// Command login logs a user of the demo in through the browser, as the client "mobile" or "partner", and prints the
// reference that the client then holds. Nothing but the reference goes to standard output:
//
//	TOKEN=$(go -C testbed run ./cmd/login)
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/testbed/loopback"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "login:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, messages io.Writer) error {
	flags := flag.NewFlagSet("login", flag.ContinueOnError)
	flags.SetOutput(messages)
	issuer := flags.String("issuer", "http://localhost:8090", "the issuer's address")
	client := flags.String("client", "mobile", "the client that logs the user in: mobile or partner")
	scope := flags.String("scope", "openid offline_access eventcatalog.read shoppingbasket.read shoppingbasket.write", "what the client asks for")
	ca := flags.String("ca", "", "a file with the certificate that signed the issuer's (TLS=1)")
	all := flags.Bool("all", false, "print the refresh reference too, on a second line")
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp // flag has said what was wrong
	}
	secrets := map[string]string{"mobile": "", "partner": "partner-demo-secret"}
	secret, known := secrets[*client]
	if !known || flags.NArg() > 0 {
		return errors.New("-client is mobile or partner, and nothing follows the flags")
	}
	httpClient, err := trusting(*ca)
	if err != nil {
		return err
	}
	app := loopback.Client{Issuer: *issuer, ID: *client, Secret: secret, Scopes: strings.Fields(*scope), HTTP: httpClient}
	token, err := app.Login(ctx, func(address string) error {
		_, err := fmt.Fprintf(messages, "Open this in your browser and log in as alice (password alice-demo):\n\n  %s\n\nWaiting…\n", address)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, token.AccessToken); err != nil {
		return err
	}
	if *all {
		_, err = fmt.Fprintln(out, token.RefreshToken)
	}
	return err
}

func trusting(caFile string) (*http.Client, error) {
	client := &http.Client{Timeout: 30 * time.Second}
	if caFile == "" {
		return client, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", caFile)
	}
	client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	return client, nil
}
