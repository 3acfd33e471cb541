package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// FindConsent finds what a user allowed a client, or fails with storage.ErrNotFound.
func (s *Store) FindConsent(ctx context.Context, tenant, subject, clientID string) (storage.Consent, error) {
	return readConsent(ctx, s.point, tenant, subject, clientID)
}

func readConsent(ctx context.Context, from *statements, tenant, subject, clientID string) (storage.Consent, error) {
	c := storage.Consent{Tenant: tenant, Subject: subject, ClientID: clientID}
	var at int64
	err := from.row(ctx, `SELECT scope, at FROM consents WHERE tenant = ?1 AND subject = ?2 AND client_id = ?3`,
		[]any{tenant, subject, clientID}, &c.Scope, &at)
	if err != nil {
		return storage.Consent{}, err
	}
	c.At = moment(at)
	return c, nil
}

// DeleteConsent takes a consent back; there need be none. It ends no grant: that is a revocation's part.
func (s *Store) DeleteConsent(ctx context.Context, tenant, subject, clientID string) error {
	return s.writer.do(ctx, func(tx *statements) error {
		_, err := tx.exec(`DELETE FROM consents WHERE tenant = ?1 AND subject = ?2 AND client_id = ?3`, tenant, subject, clientID)
		return err
	})
}

// mergeConsent adds the scopes of c to those that were allowed before.
func mergeConsent(tx *statements, c storage.Consent) error {
	before, err := readConsent(context.Background(), tx, c.Tenant, c.Subject, c.ClientID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	scopes := strings.Fields(before.Scope)
	for _, scope := range strings.Fields(c.Scope) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	_, err = tx.exec(`INSERT INTO consents (tenant, subject, client_id, scope, at) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (tenant, subject, client_id) DO UPDATE SET scope = excluded.scope, at = excluded.at`,
		c.Tenant, c.Subject, c.ClientID, strings.Join(scopes, " "), millis(c.At))
	return err
}

// EnsureAccount gives the account of a login, made with newSubject if there was none.
func (s *Store) EnsureAccount(ctx context.Context, tenant, login, newSubject string) (storage.Account, error) {
	const bySubject = `SELECT subject FROM accounts WHERE tenant = ?1 AND login = ?2`
	account := storage.Account{Tenant: tenant, Login: login}
	err := s.point.row(ctx, bySubject, []any{tenant, login}, &account.Subject)
	if err == nil {
		return account, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return storage.Account{}, err
	}
	err = s.writer.do(ctx, func(tx *statements) error {
		_, err := tx.exec(`INSERT INTO accounts (tenant, login, subject) VALUES (?1, ?2, ?3) ON CONFLICT (tenant, login) DO NOTHING`,
			tenant, login, newSubject)
		return err
	})
	if err != nil {
		return storage.Account{}, err
	}
	if err := s.point.row(ctx, bySubject, []any{tenant, login}, &account.Subject); err != nil {
		return storage.Account{}, err
	}
	return account, nil
}

// Accounts lists the accounts of a tenant, by login.
func (s *Store) Accounts(ctx context.Context, tenant string) ([]storage.Account, error) {
	var list []storage.Account
	err := s.listing.each(ctx, `SELECT login, subject FROM accounts WHERE tenant = ?1 ORDER BY login`, []any{tenant}, func(rows *sql.Rows) error {
		account := storage.Account{Tenant: tenant}
		if err := rows.Scan(&account.Login, &account.Subject); err != nil {
			return err
		}
		list = append(list, account)
		return nil
	})
	return list, err
}
