package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

// atMostEvery bounds how often strangers, by unknown kids, can make us read the table.
const atMostEvery = time.Second

// Run reads the table and rotates on time, until ctx ends. What fails is logged and tried again at the next tick: the
// keys at hand go on signing.
func (r *Ring) Run(ctx context.Context) {
	ticker := time.NewTicker(r.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			if r.options.Now().Sub(r.current.Load().readAt) < atMostEvery {
				continue
			}
		case <-ticker.C:
		}
		if err := r.tick(ctx); err != nil && ctx.Err() == nil {
			r.options.Logger.ErrorContext(ctx, "signing keys could not be read or rotated; trying again", "error", err)
		}
	}
}

func (r *Ring) tick(ctx context.Context) error {
	if err := r.reload(ctx); err != nil {
		return err
	}
	return r.rotateIfDue(ctx)
}

// readSoon asks Run to read the table, without waiting for it.
func (r *Ring) readSoon() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Rotate makes a successor for the youngest key. It is published at once, and signs after PublishFor. When another node
// has just done the same, that is as good.
func (r *Ring) Rotate(ctx context.Context) error {
	now, youngest := r.now(), r.current.Load().youngest()
	activeAt := now.Add(r.lead)
	if activeAt.Before(youngest.activeAt) { // never before the one it succeeds
		activeAt = youngest.activeAt
	}
	row, err := generate(r.options.Tenant, r.options.Algorithm, r.dataKey, now, activeAt)
	if err != nil {
		return err
	}
	err = r.store.AddSigningKey(ctx, row, youngest.id, activeAt.Add(r.options.Overlap))
	if err != nil && !errors.Is(err, storage.ErrConsumed) {
		return fmt.Errorf("keys: %w", err)
	}
	if err == nil {
		r.options.Logger.InfoContext(ctx, "a new signing key is published", "kid", row.ID, "algorithm", row.Algorithm, "active_at", activeAt)
	}
	return r.reload(ctx)
}

func (r *Ring) rotateIfDue(ctx context.Context) error {
	due := r.current.Load().youngest().activeAt.Add(r.options.RotateEvery - r.lead)
	if r.now().Before(due) {
		return nil
	}
	return r.Rotate(ctx)
}

// first makes a tenant's first key, which signs at once: nobody holds a JWKS without it.
func (r *Ring) first(ctx context.Context) error {
	now := r.now()
	row, err := generate(r.options.Tenant, r.options.Algorithm, r.dataKey, now, now)
	if err != nil {
		return err
	}
	if err := r.store.AddSigningKey(ctx, row, "", time.Time{}); err != nil && !errors.Is(err, storage.ErrConsumed) {
		return fmt.Errorf("keys: %w", err)
	}
	return r.reload(ctx)
}

// reload replaces the keys at hand by those in the table. The table may be without a key once, when the ring is opened;
// after that it fails and keeps the keys at hand.
func (r *Ring) reload(ctx context.Context) error {
	r.rotating.Lock()
	defer r.rotating.Unlock()
	rows, err := r.store.SigningKeys(ctx, r.options.Tenant)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	before, now := r.current.Load(), r.now()
	keys := make([]key, 0, len(rows))
	for _, row := range rows {
		k, err := r.reopen(before, row)
		if err != nil {
			return err
		}
		keys = append(keys, k)
	}
	after, err := newSnapshot(keys, now, now)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if len(after.keys) == 0 && before != nil {
		return errors.New("keys: the table has no key that has not expired")
	}
	r.current.Store(after)
	return nil
}

// reopen spares unsealing what was unsealed before.
func (r *Ring) reopen(before *snapshot, row storage.SigningKey) (key, error) {
	if before != nil {
		if i := slices.IndexFunc(before.keys, func(k key) bool { return k.id == row.ID }); i >= 0 {
			k := before.keys[i]
			k.activeAt, k.expiresAt = row.ActiveAt, row.ExpiresAt
			return k, nil
		}
	}
	return open(row, r.dataKey)
}

// now is the clock at the table's precision.
func (r *Ring) now() time.Time { return r.options.Now().UTC().Truncate(time.Millisecond) }
