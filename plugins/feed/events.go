package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// take applies an answer. An error says that this could not be done now; then nothing of it that is left is acknowledged,
// and it comes again.
func (f *Feed) take(ctx context.Context, a answer) error {
	switch {
	case !f.placed:
		f.forget(a, "") // nothing was cached by what this stream has said
	case a.Epoch != f.epoch:
		f.forget(a, "the issuer began a new epoch")
	case *a.To < f.applied:
		f.forget(a, "the issuer went back")
	default:
		if err := f.events(ctx, a); err != nil {
			return err
		}
	}
	for id := range a.Sets {
		if _, faulty := f.errs[id]; !faulty {
			f.acks = append(f.acks, id)
		}
	}
	return nil
}

// forget says that everything cached is worth nothing any more. Whatever a's events end is among it. With a reason, an
// operator is told.
func (f *Feed) forget(a answer, reason string) {
	if reason != "" {
		f.cfg.Logger.Warn("everything cached was forgotten", "reason", reason, "position", f.applied, "from", *a.From, "to", *a.To)
	}
	f.state.Forget(a.Epoch, *a.To, f.cfg.Now())
	f.placed, f.epoch, f.applied = true, a.Epoch, *a.To
}

// events applies the events behind the position, in the order of their sequences. What came before is there once more
// and changes nothing. A sequence that is neither there nor said to be skipped is missing: the first one is, when a's from
// is ahead of the position.
func (f *Feed) events(ctx context.Context, a answer) error {
	if reset := a.Epoch + ".r" + strconv.FormatUint(*a.To, 10); a.Sets[reset] != "" && f.applied < *a.To {
		_, err := f.verified(ctx, reset, a.Sets[reset])
		if errors.Is(err, ErrUndecided) {
			return err
		}
		f.forget(a, "the issuer said so: too much was missed to tell it one by one")
		return nil
	}
	skipped := make(map[uint64]bool, len(a.Skipped))
	for _, sequence := range a.Skipped {
		skipped[sequence] = true
	}
	for f.applied < *a.To {
		sequence := f.applied + 1
		if skipped[sequence] { // another tenant's
			f.state.Skip(sequence)
			f.applied = sequence
			continue
		}
		id := a.Epoch + "." + strconv.FormatUint(sequence, 10)
		raw, there := a.Sets[id]
		if !there {
			f.forget(a, "events are missing")
			return nil
		}
		e, err := f.verified(ctx, id, raw)
		switch {
		case errors.Is(err, ErrUndecided):
			return err
		case err != nil:
			// It may have been a revocation: to ignore it would lose that.
			f.forget(a, "an event could not be used")
			return nil
		case e.revoked == nil:
			f.state.Skip(sequence)
		default:
			f.state.Apply(sequence, e.key, e.revoked.Generation, f.cfg.Now())
		}
		f.applied = sequence
	}
	return nil
}

// verified checks the SET of that id. One that is at fault is noted, to be told to the issuer.
func (f *Feed) verified(ctx context.Context, id, raw string) (event, error) {
	claims, err := f.cfg.Verifier.SecurityEvent(ctx, raw)
	if errors.Is(err, ErrUndecided) {
		return event{}, fmt.Errorf("an event waits for its key: %w", err)
	}
	code := "authentication_failed"
	var e event
	if err == nil {
		code = "invalid_request"
		e, err = f.read(id, claims)
	}
	if err != nil {
		f.cfg.Logger.Error("an event of the revocation feed is not the issuer's, or not for this gateway", "event", id, "error", err)
		if f.errs == nil {
			f.errs = map[string]fault{}
		}
		f.errs[id] = fault{code, "it could not be used"}
	}
	return e, err
}

// event is what of a SET is looked at.
type event struct {
	key     uint64
	revoked *revoked // nil when it is an event of another kind, which ends nothing
}

type revoked struct {
	Generation uint64 `json:"generation"`
	Sequence   uint64 `json:"sequence"`
}

// setClaims are the claims of a SET (RFC 8417).
type setClaims struct {
	Issuer   string                     `json:"iss"`
	Audience audience                   `json:"aud"`
	ID       string                     `json:"jti"`
	IssuedAt float64                    `json:"iat"` // looked at when the transmitter is foreign
	Subject  subject                    `json:"sub_id"`
	Events   map[string]json.RawMessage `json:"events"`
}

// audience is one name, or a list of them (RFC 7519 section 4.1.3).
type audience []string

func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(data, &many)
	*a = many
	return err
}

// read checks the claims of the SET that was announced by this id. Times are not looked at: the sequence says which event
// is the later one, and clocks may differ.
func (f *Feed) read(id string, claims json.RawMessage) (event, error) {
	var c setClaims
	if err := json.Unmarshal(claims, &c); err != nil {
		return event{}, errors.New("its claims are not those of an event")
	}
	switch {
	case c.Issuer != f.cfg.Issuer:
		return event{}, errors.New("its iss is another")
	case !slices.Contains(c.Audience, f.cfg.ClientID):
		return event{}, errors.New("its aud is another")
	case c.ID != id:
		return event{}, errors.New("its jti is another")
	case len(c.Events) == 0:
		return event{}, errors.New("it says nothing")
	}
	raw, there := c.Events[eventRevoked]
	if !there {
		return event{}, nil
	}
	var r *revoked
	if err := json.Unmarshal(raw, &r); err != nil || r == nil || r.Generation == 0 || !strings.HasSuffix(id, "."+strconv.FormatUint(r.Sequence, 10)) {
		return event{}, errors.New("its generation or sequence is not usable")
	}
	if c.Subject.Format != "opaque" {
		return event{}, errors.New("its subject is not an opaque key")
	}
	key, err := parseKey(c.Subject.ID)
	return event{key, r}, err
}
