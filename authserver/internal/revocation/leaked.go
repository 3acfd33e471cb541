package revocation

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
	"github.com/phantomgate/phantomgate/authserver/internal/tokens"
)

// Leaked is what became of a list of leaked references.
type Leaked struct {
	Revoked int // ended now
	Ended   int // not alive any more when they were looked at
	Unknown int // never given out here, or swept
	Last    storage.Revocation
}

// RevokeLeaked ends every token of a list of references or jti, in one write: of a refresh reference its whole grant. What is
// not alive is left alone, so the same list may be sent again.
func (s *Service) RevokeLeaked(ctx context.Context, tenant string, references []string, by string) (Leaked, error) {
	var l Leaked
	var asked []storage.Revocation
	seen := map[[2]string]bool{}
	for _, reference := range references {
		kind, id, alive, err := s.standsFor(ctx, tenant, reference)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			l.Unknown++
		case err != nil:
			return Leaked{}, err
		case !alive || seen[[2]string{string(kind), id}]:
			l.Ended++
		default:
			seen[[2]string{string(kind), id}] = true
			asked = append(asked, storage.Revocation{Tenant: tenant, ID: rand.Text(), Kind: kind, Target: id, By: by, At: s.Now()})
		}
	}
	if len(asked) == 0 {
		return l, nil
	}
	done, err := s.Store.RevokeAll(ctx, asked)
	if errors.Is(err, storage.ErrNotFound) { // one of them was swept since: then each by itself
		return s.oneByOne(ctx, l, asked)
	}
	if err != nil {
		return Leaked{}, err
	}
	l.Revoked, l.Last = len(done), done[len(done)-1]
	return l, nil
}

func (s *Service) oneByOne(ctx context.Context, l Leaked, asked []storage.Revocation) (Leaked, error) {
	for _, r := range asked {
		done, err := s.Store.Revoke(ctx, r)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			l.Ended++
		case err != nil:
			return Leaked{}, err
		default:
			l.Revoked, l.Last = l.Revoked+1, done
		}
	}
	return l, nil
}

// standsFor finds what a reference or a jti leads to, a refresh reference to its whole grant, and whether there is anything left to
// end.
func (s *Service) standsFor(ctx context.Context, tenant, reference string) (kind storage.Kind, id string, alive bool, err error) {
	switch kind, parseErr := tokens.ParseReference(reference); {
	case parseErr != nil:
		live, err := s.Store.FindAccessByJTI(ctx, tenant, reference)
		return storage.KindToken, live.JTI, live.Alive, err
	case kind == tokens.Refresh:
		live, err := s.Store.FindRefresh(ctx, tenant, tokens.Hash(reference))
		return storage.KindGrant, live.GrantID, live.Alive, err
	default:
		live, err := s.Store.FindAccess(ctx, tenant, tokens.Hash(reference))
		return storage.KindToken, live.JTI, live.Alive, err
	}
}
