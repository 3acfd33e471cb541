package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// gateway is one that hears the feed.
type gateway struct {
	Gateway     string    `json:"gateway"`
	Client      string    `json:"client"`
	Stream      string    `json:"stream"`
	Position    int64     `json:"position"`
	Behind      int64     `json:"behind"`
	LastContact time.Time `json:"last_contact"`
}

type gatewayList struct {
	Gateways []gateway `json:"gateways"`
}

func (p program) gatewaysCommand(s *settings) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "gateways",
		Short: "List the gateways that hear the revocation feed, and how far each has applied it",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := p.client(s)
			if err != nil {
				return err
			}
			return p.gateways(c.Context(), api, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print what the admin API answers")
	return c
}

func (p program) gateways(ctx context.Context, api *client, asJSON bool) error {
	var answer json.RawMessage
	if err := api.ask(ctx, question{method: http.MethodGet, path: "/admin/v1/gateways"}, &answer); err != nil {
		return err
	}
	if asJSON {
		_, err := fmt.Fprintf(p.out, "%s\n", answer)
		return err
	}
	var list gatewayList
	if err := json.Unmarshal(answer, &list); err != nil {
		return fmt.Errorf("the list of gateways: %w", err)
	}
	t := newTable(p.out, "GATEWAY", "CLIENT", "POSITION", "BEHIND", "LAST CONTACT", "STREAM")
	for _, g := range list.Gateways {
		t.row(g.Gateway, g.Client, g.Position, g.Behind, g.LastContact, g.Stream)
	}
	return t.flush()
}

// token is one that is alive. The reference itself nobody but its holder has.
type token struct {
	JTI       string    `json:"jti"`
	Grant     string    `json:"grant"`
	Client    string    `json:"client"`
	User      string    `json:"user"`
	Login     string    `json:"login"`
	Session   string    `json:"session"`
	Scope     string    `json:"scope"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (p program) tokensCommand(s *settings) *cobra.Command {
	var user, ofClient string
	var asJSON bool
	c := &cobra.Command{
		Use:   "tokens",
		Short: "List the access tokens that are alive",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range []string{"user", "client"} {
				if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
					return usagef("--%s is empty: give it something, or leave it out", name)
				}
			}
			api, err := p.client(s)
			if err != nil {
				return err
			}
			return p.tokens(c.Context(), api, user, ofClient, asJSON)
		},
	}
	c.Flags().StringVar(&user, "user", "", "only those of the user with this login `NAME` or sub")
	c.Flags().StringVar(&ofClient, "client", "", "only those of the app with this `ID`")
	c.Flags().BoolVar(&asJSON, "json", false, "print what the admin API answers, one token a line")
	return c
}

// tokens prints page by page: there may be millions.
func (p program) tokens(ctx context.Context, api *client, user, ofClient string, asJSON bool) error {
	query := url.Values{}
	if user != "" {
		query.Set("user", user)
	}
	if ofClient != "" {
		query.Set("client", ofClient)
	}
	t := newTable(p.out, "JTI", "GRANT", "SESSION", "CLIENT", "USER", "EXPIRES", "SCOPE")
	for {
		var page struct {
			Tokens []json.RawMessage `json:"tokens"`
			Next   string            `json:"next"`
		}
		if err := api.ask(ctx, question{method: http.MethodGet, path: "/admin/v1/tokens?" + query.Encode()}, &page); err != nil {
			return err
		}
		for _, raw := range page.Tokens {
			if asJSON {
				fmt.Fprintf(t.out, "%s\n", raw)
				continue
			}
			var one token
			if err := json.Unmarshal(raw, &one); err != nil {
				return fmt.Errorf("the list of tokens: %w", err)
			}
			t.row(one.JTI, one.Grant, cmp.Or(one.Session, "-"), one.Client, cmp.Or(one.Login, one.User, "-"), one.ExpiresAt, one.Scope)
		}
		if err := t.flush(); err != nil || page.Next == "" {
			return err
		}
		query.Set("after", page.Next)
	}
}

// table is aligned text under a head.
type table struct{ out *tabwriter.Writer }

func newTable(out io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t.out, strings.Join(head, "\t"))
	return t
}

func (t table) row(cells ...any) {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		if at, ok := cell.(time.Time); ok {
			cell = shown(at)
		}
		texts[i] = clean(fmt.Sprint(cell))
	}
	fmt.Fprintln(t.out, strings.Join(texts, "\t"))
}

func (t table) flush() error { return t.out.Flush() }

// shown is a time to the millisecond.
func shown(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
