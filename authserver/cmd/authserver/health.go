package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

// healthTimeout bounds the whole question.
const healthTimeout = 3 * time.Second

func healthCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "health --config FILE",
		Short: "Ask the node on this machine that has this configuration whether it is well; exit 0 if it is",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			ctx := c.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			return health(ctx, cfg)
		},
	}
	configFlag(c, &file)
	return c
}

// health asks the public listener, by the issuer's own name. With TLS the certificate must be that name's, as for everybody.
func health(ctx context.Context, cfg config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return err
	}
	issuer.Path = "/healthz"
	if cfg.TLS == nil {
		issuer.Scheme = "http" // a proxy ends TLS
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer.String(), nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, cfg.Listen) // where it is on every address, on loopback
	}}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the node at %s answers %s", cfg.Listen, resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
