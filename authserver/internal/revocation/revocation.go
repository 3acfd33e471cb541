// Package revocation ends what was granted, by any reach, in one small write however many tokens it ends.
//
// It turns what an operator or a client names (a reference, a login, an app) into the reach's own id, and moves that
// reach's generation on. A token lives only while none of its reaches has moved on, so nothing is searched or deleted.
package revocation

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
	"github.com/phantomgate/phantomgate/authserver/internal/users"
)

// Store is what this room asks of the storage.
type Store interface {
	Revoke(ctx context.Context, revocation storage.Revocation) (storage.Revocation, error)
	FindRevocation(ctx context.Context, tenant, id string) (storage.Revocation, error)
	FindAccess(ctx context.Context, tenant string, hash []byte) (storage.LiveAccess, error)
	FindAccessByJTI(ctx context.Context, tenant, jti string) (storage.LiveAccess, error)
	FindRefresh(ctx context.Context, tenant string, hash []byte) (storage.LiveRefresh, error)
	RevokeAll(ctx context.Context, asked []storage.Revocation) ([]storage.Revocation, error)
	Applied(ctx context.Context, tenant string, sequence int64) ([]storage.Applied, error)
}

// Users finds a user by login name or by sub.
type Users interface {
	FindNamed(tenant, name string) (users.User, bool)
}

// Clients finds an app.
type Clients interface {
	Find(tenant, id string) (config.Client, bool)
}

// Service revokes.
type Service struct {
	Store   Store
	Users   Users
	Clients Clients
	Now     func() time.Time
}

// New checks that nothing is missing.
func New(s Service) (*Service, error) {
	if s.Store == nil || s.Users == nil || s.Clients == nil || s.Now == nil {
		return nil, errors.New("revocation: Store, Users, Clients and Now are all needed")
	}
	return &s, nil
}

// Revoke moves the generation of one reach on. The target is the reach's own id. It fails with storage.ErrNotFound for a
// token, grant or session that is not there. When it returns without an error the revocation is durable and holds on
// every node.
func (s *Service) Revoke(ctx context.Context, tenant string, kind storage.Kind, target, by string) (storage.Revocation, error) {
	return s.Store.Revoke(ctx, storage.Revocation{
		Tenant: tenant, ID: rand.Text(), Kind: kind, Target: target, By: by, At: s.Now(),
	})
}

// Find gives a revocation by its id, and the gateways that have said that they applied it.
func (s *Service) Find(ctx context.Context, tenant, id string) (storage.Revocation, []storage.Applied, error) {
	found, err := s.Store.FindRevocation(ctx, tenant, id)
	if errors.Is(err, storage.ErrNotFound) {
		return found, nil, oauth.Errorf(oauth.NotFound, "there is no such revocation")
	}
	if err != nil {
		return found, nil, err
	}
	applied, err := s.Store.Applied(ctx, tenant, found.Sequence)
	return found, applied, err
}

// Target is what somebody asks to have revoked: exactly one of its fields is set, or User and Client together.
type Target struct {
	Token      string `json:"token"`   // an access or refresh reference, or a token's jti
	Grant      string `json:"grant"`   // a grant's id
	Session    string `json:"session"` // a session's id (sid)
	User       string `json:"user"`    // login name or sub
	Client     string `json:"client"`
	Tenant     string `json:"tenant"`
	Everything bool   `json:"everything"`
}

// RevokeTarget finds what the target names and revokes it. It answers not_found for what does not exist, so that a
// misspelt name is not taken for a revocation, and invalid_request unless the target names exactly one thing.
//
// With a key, whatever its sender made of it, one request is carried out once: a second one with the same key of the same
// sender is answered as the first was. It fails with idempotency_key_reused when it asks for something else.
func (s *Service) RevokeTarget(ctx context.Context, tenant string, target Target, by, key string) (storage.Revocation, error) {
	kind, id, err := s.resolve(ctx, tenant, target)
	if err != nil {
		return storage.Revocation{}, err
	}
	if key == "" {
		done, err := s.Revoke(ctx, tenant, kind, id, by)
		return done, known(err, kind)
	}
	asked := storage.Revocation{Tenant: tenant, ID: keyed(by, key), Kind: kind, Target: id, By: by, At: s.Now()}
	if done, err := s.before(ctx, asked); !errors.Is(err, storage.ErrNotFound) {
		return done, err
	}
	done, err := s.Store.Revoke(ctx, asked)
	if err != nil { // perhaps because the same request was there first, a moment ago
		if done, err := s.before(ctx, asked); err == nil {
			return done, nil
		}
	}
	return done, known(err, kind)
}

// keyed is the id of a revocation that came with a key.
func keyed(by, key string) string {
	sum := sha256.Sum256([]byte(by + "\x00" + key))
	return "k_" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// before gives the revocation that was carried out for the same key, or storage.ErrNotFound.
func (s *Service) before(ctx context.Context, asked storage.Revocation) (storage.Revocation, error) {
	done, err := s.Store.FindRevocation(ctx, asked.Tenant, asked.ID)
	if err == nil && (done.Kind != asked.Kind || done.Target != asked.Target) {
		return storage.Revocation{}, oauth.Errorf(oauth.KeyReused, "another revocation came with this Idempotency-Key; use a new key for each")
	}
	return done, err
}

func (s *Service) resolve(ctx context.Context, tenant string, target Target) (storage.Kind, string, error) {
	both := target.User != "" && target.Client != ""
	if n := target.named(); n != 1 && (!both || n != 2) {
		return "", "", oauth.Errorf(oauth.InvalidRequest,
			"name exactly one of token, grant, session, user, client, tenant, everything, or user and client together")
	}
	switch {
	case target.Everything:
		return storage.KindEverything, "", nil
	case target.Tenant != "":
		if target.Tenant != tenant {
			return "", "", missing(storage.KindTenant)
		}
		return storage.KindTenant, tenant, nil
	case target.Token != "":
		return s.resolveToken(ctx, tenant, target.Token)
	case target.Grant != "":
		return storage.KindGrant, target.Grant, nil
	case target.Session != "":
		return storage.KindSession, target.Session, nil
	}
	return s.resolveOwner(tenant, target)
}

// resolveOwner finds the user, the client, or both.
func (s *Service) resolveOwner(tenant string, target Target) (storage.Kind, string, error) {
	subject := ""
	if target.User != "" {
		user, ok := s.Users.FindNamed(tenant, target.User)
		if !ok {
			return "", "", missing(storage.KindUser)
		}
		subject = user.Subject
	}
	if target.Client == "" {
		return storage.KindUser, subject, nil
	}
	client, ok := s.Clients.Find(tenant, target.Client)
	switch {
	case !ok:
		return "", "", missing(storage.KindClient)
	case subject != "":
		return storage.KindUserClient, storage.UserClientID(subject, client.ID), nil
	}
	return storage.KindClient, client.ID, nil
}

// resolveToken takes an access reference to its jti, and a refresh reference to its grant: the whole family ends.
func (s *Service) resolveToken(ctx context.Context, tenant, token string) (storage.Kind, string, error) {
	if _, err := tokens.ParseReference(token); err != nil { // not a reference: a jti, as the list of live tokens shows it
		return storage.KindToken, token, nil
	}
	kind, id, _, err := s.standsFor(ctx, tenant, token)
	return kind, id, known(err, storage.KindToken)
}

func (t Target) named() int {
	n := 0
	for _, field := range []string{t.Token, t.Grant, t.Session, t.User, t.Client, t.Tenant} {
		if field != "" {
			n++
		}
	}
	if t.Everything {
		n++
	}
	return n
}

// known tells the other side that there is no such thing, if that is what the store said.
func known(err error, kind storage.Kind) error {
	if errors.Is(err, storage.ErrNotFound) {
		return missing(kind)
	}
	return err
}

func missing(kind storage.Kind) error {
	return oauth.Errorf(oauth.NotFound, "there is no such %s; nothing was revoked", kind)
}
