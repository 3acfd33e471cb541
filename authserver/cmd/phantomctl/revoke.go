package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// revocation is what the admin API answers.
type revocation struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	Generation int64     `json:"generation"`
	Sequence   int64     `json:"sequence"`
	At         time.Time `json:"at"`
	Applied    []applied `json:"applied"`
}

// revokeOptions are the flags of revoke, but for those that say what is revoked.
type revokeOptions struct {
	yes     bool
	key     string
	wait    bool
	timeout time.Duration
}

func (p program) revokeCommand(s *settings) *cobra.Command {
	var o revokeOptions
	c := &cobra.Command{
		Use:   "revoke {--token FILE | --grant ID | --session ID | --user NAME | --client ID | --user NAME --client ID | --tenant NAME | --everything}",
		Short: "End a token, a grant, a session, all of a user, a client, a user at a client, a tenant, or everything",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			target, err := p.target(c.Flags())
			if err != nil {
				return err
			}
			if target["everything"] == true {
				if err := p.confirm(o.yes); err != nil {
					return err
				}
			}
			api, err := p.client(s)
			if err != nil {
				return err
			}
			return p.revoke(c.Context(), api, target, o)
		},
	}
	f := c.Flags()
	f.String("token", "", "the `FILE` with one access or refresh reference, or a jti; - reads standard input (an argument would show in ps)")
	f.String("grant", "", "a grant's `ID`, as phantomctl tokens lists it")
	f.String("session", "", "the `ID` of a login (sid), as phantomctl tokens lists it")
	f.String("user", "", "a user's login `NAME` or sub")
	f.String("client", "", "an app's `ID`")
	f.String("tenant", "", "a tenant's `NAME`")
	f.Bool("everything", false, "everything there is, this command's own token too; asks first")
	f.BoolVar(&o.yes, "yes", false, "do not ask before everything is revoked")
	f.StringVar(&o.key, "key", "", "carry this out once, however often it is asked for with this `KEY` (default: a new one)")
	f.BoolVar(&o.wait, "wait", false, "wait until every gateway has applied it, and tell how long each took")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "how long to --wait")
	return c
}

// reaches are the flags that say what is revoked, as the admin API names them too.
func reaches() []string {
	return []string{"token", "grant", "session", "user", "client", "tenant", "everything"}
}

// target reads what is to be revoked. A flag that is given and empty is refused: a script whose variable was not set would
// end a whole client where it meant one user of it.
func (p program) target(f *pflag.FlagSet) (map[string]any, error) {
	target := map[string]any{}
	for _, name := range reaches() {
		flag := f.Lookup(name)
		switch {
		case !flag.Changed:
		case name == "everything":
			if flag.Value.String() != "true" {
				return nil, usagef("--everything is given, and false: leave it out")
			}
			target[name] = true
		case flag.Value.String() == "":
			return nil, usagef("--%s is empty: give it something, or leave it out", name)
		default:
			target[name] = flag.Value.String()
		}
	}
	_, user := target["user"]
	_, client := target["client"]
	if len(target) != 1 && (len(target) != 2 || !user || !client) {
		return nil, usagef("name exactly one of --%s, or --user and --client together", strings.Join(reaches(), ", --"))
	}
	if file, ok := target["token"].(string); ok {
		token, err := p.readToken(file)
		if err != nil {
			return nil, err
		}
		target["token"] = token
	}
	return target, nil
}

func (p program) readToken(name string) (string, error) {
	if reference.MatchString(name) {
		return "", usagef("--token takes a file, or - for standard input: " +
			"every user of this machine could see the token as an argument, and the shell keeps it in its history")
	}
	in := p.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", usagef("--token: %w; name the file that has the token, or - for standard input", err)
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	token, err := readShort(in)
	if err != nil {
		return "", usagef("--token: %w; give it one token (for many: phantomctl revoke-leaked)", err)
	}
	return strings.TrimSpace(token), nil
}

// confirm asks before everything ends.
func (p program) confirm(yes bool) error {
	if yes {
		return nil
	}
	if !p.asks {
		return usagef("--everything ends every token, login and grant of every user; nobody can be asked here: add --yes if that is meant")
	}
	fmt.Fprint(p.err, "This ends every token, login and grant of every user. Go on? Type yes: ")
	line, err := bufio.NewReader(io.LimitReader(p.in, maxShort)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was revoked: it was not confirmed")
	}
	return nil
}

func (p program) revoke(ctx context.Context, api *client, target map[string]any, o revokeOptions) error {
	key := cmp.Or(o.key, rand.Text())
	var done revocation
	err := api.ask(ctx, question{method: http.MethodPost, path: "/admin/v1/revocations", body: target, key: key}, &done)
	if err != nil && unclear(err) {
		return fmt.Errorf("%w\nWhether it was carried out is not known. Run the same command again with --key %s: it is carried out once", err, key)
	}
	if err != nil {
		return err
	}
	t := newTable(p.out, "ID", "KIND", "GENERATION", "SEQUENCE", "AT")
	t.row(done.ID, done.Kind, done.Generation, done.Sequence, done.At)
	if err := t.flush(); err != nil || !o.wait {
		return err
	}
	return p.showApplied(ctx, api, done, o.timeout)
}

// unclear tells whether what was asked for may have been done, although it was not answered so.
func unclear(err error) bool {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused.status >= http.StatusInternalServerError
	}
	var none unanswered
	return errors.As(err, &none)
}
