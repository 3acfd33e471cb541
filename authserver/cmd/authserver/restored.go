package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/storage/sqlite"
)

// restoring is what an operator must know before.
const restoring = `%s is taken for a database that was restored from a backup. What was revoked after the backup is not in it,
so everything is revoked: every token, login and code ends, people sign in again, and every gateway forgets what it cached.
Do this before the restored issuer starts for the first time: until it is done, what was revoked would be honoured again.
`

func restoredCommand() *cobra.Command {
	var file string
	var yes, withWAL bool
	c := &cobra.Command{
		Use:   "restored --config FILE",
		Short: "Make a database that was restored from a backup safe to serve from: revoke everything, and begin a new feed epoch",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.LookupEnv)
			if err != nil {
				return err
			}
			if err := restorable(cfg, withWAL); err != nil {
				return err
			}
			c.PrintErrf(restoring, cfg.Storage.SQLite)
			if err := confirm(c.ErrOrStderr(), yes); err != nil {
				return err
			}
			position, err := beginEpoch(c.Context(), cfg, slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil)))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "everything is revoked (sequence %d), and the feed has a new epoch (%s); start the issuer now\n", position.Sequence, position.Epoch)
			return nil
		},
	}
	configFlag(c, &file)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask first")
	c.Flags().BoolVar(&withWAL, "with-wal", false, "the -wal file beside the database is its own: the backup is a snapshot of the folder")
	return c
}

// restorable refuses what is no database at rest that has just been restored.
func restorable(cfg config.Config, withWAL bool) error {
	path := cfg.Storage.SQLite
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("storage.sqlite: %s is not there; put the backup there first (a new database needs no such thing)", path)
		}
		return err
	}
	for _, side := range [][2]string{{"listen", cfg.Listen}, {"admin.listen", cfg.Admin.Listen}} {
		if conn, err := net.DialTimeout("tcp", side[1], time.Second); err == nil {
			_ = conn.Close() // nothing was said on it
			return fmt.Errorf("something serves at %s (%s); if it is the issuer, it honours what was revoked after the backup: "+
				"stop it, do this, and start it again", side[1], side[0])
		}
	}
	// SQLite would write the changes of another database into this one.
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 && !withWAL {
		return fmt.Errorf("there is %s-wal; if the database before left it behind, it would damage this one: remove it, and %s-shm too; "+
			"if it is this one's own (the backup is a snapshot of the folder, or an issuer ran on it and was killed), add --with-wal", path, path)
	}
	return nil
}

func confirm(prompt io.Writer, yes bool) error {
	if yes {
		return nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return usagef("nobody can be asked here: add --yes if that is meant; nothing was changed")
	}
	fmt.Fprint(prompt, "Go on? Type yes: ")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("it was not confirmed; nothing was changed")
	}
	return nil
}

// beginEpoch does it, and says where the feed stands then.
func beginEpoch(ctx context.Context, cfg config.Config, log *slog.Logger) (position storage.Position, err error) {
	store, err := sqlite.Open(ctx, sqlite.Options{Path: cfg.Storage.SQLite, Logger: log})
	if err != nil {
		return storage.Position{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := store.BeginEpoch(ctx, storage.Revocation{
		Tenant: oauth.DefaultTenant, ID: rand.Text(), Kind: storage.KindEverything, By: "authserver restored", At: time.Now(),
	}); err != nil {
		return storage.Position{}, err
	}
	return store.FeedPosition(ctx)
}
