// Package users is the directory of the people who can log in: who they are, what is claimed of them, and whether a
// password is theirs.
//
// The file says who there is; the store remembers the sub that each login was given. A user who is no longer in the file
// is unknown, which ends all of their tokens; back in the file, they have the same sub again.
package users

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// Store is what the directory asks of the database.
type Store interface {
	// EnsureAccount gives the account of a login, made with newSubject if there is none yet.
	EnsureAccount(ctx context.Context, tenant, login, newSubject string) (storage.Account, error)
}

// User is a person who can log in. Claims is shared: it must not be altered.
type User struct {
	Subject string // random, never used again for another person
	Login   string // as the file spells it
	Claims  map[string]any
}

// Options are what the directory takes from outside.
type Options struct {
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Directory is fixed once opened, and safe for concurrent use.
type Directory struct {
	tenant   string
	log      *slog.Logger
	subjects map[string]*entry
	logins   map[string]*entry // by config.LoginKey
	nobody   config.Password   // what an unknown user's password is compared with
	throttle *throttle
	checks   *checks
}

type entry struct {
	user     User
	password config.Password
}

// Open gives every user of the file a sub, the same as ever.
func Open(ctx context.Context, cfg config.Config, store Store, options Options) (*Directory, error) {
	if store == nil || options.Logger == nil {
		return nil, errors.New("users: a store and a logger are needed")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	d := &Directory{
		tenant: oauth.DefaultTenant, log: options.Logger,
		subjects: map[string]*entry{}, logins: map[string]*entry{},
		throttle: newThrottle(options.Now), checks: newChecks(),
	}
	cost := 0
	for _, declared := range cfg.Users {
		key := config.LoginKey(declared.Login)
		account, err := store.EnsureAccount(ctx, d.tenant, key, newSubject())
		if err != nil {
			return nil, fmt.Errorf("users: the account of %q: %w", declared.Login, err)
		}
		known := &entry{User{Subject: account.Subject, Login: declared.Login, Claims: declared.Claims}, declared.Password}
		if d.logins[key] != nil || d.subjects[account.Subject] != nil || !strings.HasPrefix(account.Subject, config.SubjectPrefix) {
			return nil, fmt.Errorf("users: the login %q, or its sub, is not its own", declared.Login)
		}
		d.logins[key], d.subjects[account.Subject] = known, known
		d.throttle.know(key)
		cost = max(cost, declared.Password.Cost())
	}
	var err error
	d.nobody, err = passwordOfNobody(cost)
	return d, err
}

// newSubject makes a sub of 130 random bits. A client id never begins like it.
func newSubject() string { return config.SubjectPrefix + strings.ToLower(rand.Text()) }

// Find gives a tenant's user by sub, if the user is in the file.
func (d *Directory) Find(tenant, subject string) (User, bool) {
	return d.find(tenant, d.subjects[subject])
}

// FindLogin gives a tenant's user by login name; capitals make no difference.
func (d *Directory) FindLogin(tenant, login string) (User, bool) {
	return d.find(tenant, d.logins[config.LoginKey(login)])
}

// FindNamed gives a tenant's user by what an operator calls them: the login name, or the sub. No login begins like a sub.
func (d *Directory) FindNamed(tenant, name string) (User, bool) {
	if user, ok := d.FindLogin(tenant, name); ok {
		return user, true
	}
	return d.Find(tenant, name)
}

func (d *Directory) find(tenant string, known *entry) (User, bool) {
	if known == nil || tenant != d.tenant {
		return User{}, false
	}
	return known.user, true
}
