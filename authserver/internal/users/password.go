package users

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

// ErrPassword says that there is no such user, or that the password is not theirs. Which of the two, nobody is told.
var ErrPassword = errors.New("users: wrong login or password")

// ThrottledError says that there were too many attempts, for this login or from this address, or that too many wait now.
// The password was not looked at.
type ThrottledError struct {
	RetryAfter time.Duration
}

func (e ThrottledError) Error() string {
	return fmt.Sprintf("users: too many attempts; try again in %s", e.RetryAfter)
}

// maxLogin is the longest login that is looked at, in bytes.
const maxLogin = 128

// CheckPassword gives the user whose login and password these are. remoteAddr is where the attempt comes from, with or
// without a port. It fails with ErrPassword, with ThrottledError, or with the context's error.
//
// It takes as long for an unknown user as for the user with the costliest hash, and throttles both alike. It does not
// hide a difference between users whose hashes have different costs.
func (d *Directory) CheckPassword(ctx context.Context, tenant, login, password, remoteAddr string) (User, error) {
	if login == "" || len(login) > maxLogin || password == "" || len(password) > config.MaxPassword {
		return User{}, ErrPassword // the same for every user, so it tells nothing
	}
	key := config.LoginKey(login)
	giveBack, err := d.throttle.take(key, remoteAddr)
	if err != nil {
		d.log.WarnContext(ctx, "a login was throttled", "error", err)
		return User{}, err
	}
	known := d.logins[key]
	if tenant != d.tenant {
		known = nil
	}
	right, err := d.checks.run(ctx, func() bool {
		if known == nil {
			d.nobody.Matches(password)
			return false
		}
		return known.password.Matches(password)
	})
	switch {
	case err != nil:
		giveBack()
		return User{}, err
	case !right:
		return User{}, ErrPassword
	}
	giveBack() // only failures count
	return known.user, nil
}

// passwordOfNobody makes a hash of that cost whose password nobody is asked for: only the time it takes matters.
func passwordOfNobody(cost int) (config.Password, error) {
	const salted = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
	return config.NewPassword(fmt.Appendf(nil, "$2a$%02d$%s", max(cost, bcrypt.MinCost), salted))
}

// checks bounds how many passwords are hashed at once, since each keeps a core busy, and how many wait for their turn.
type checks struct {
	running chan struct{}
	waiting chan struct{}
}

const maxWaiting = 64

func newChecks() *checks {
	// Half of the cores, so that logins never starve the rest of the issuer.
	return &checks{running: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), waiting: make(chan struct{}, maxWaiting)}
}

func (c *checks) run(ctx context.Context, check func() bool) (bool, error) {
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return false, ThrottledError{RetryAfter: time.Second}
	}
	select {
	case c.running <- struct{}{}:
		defer func() { <-c.running }()
		return check(), nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
