package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the tables up to date. It never goes back, and refuses tables from a newer program.
func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fault(err)
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return fault(err)
	}
	if current > known {
		return fmt.Errorf("the database has tables of version %d, this program knows %d: run the newer program", current, known)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fault(err)
	}
	return nil
}
