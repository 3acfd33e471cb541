package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const streamColumns = `s.tenant, s.id, s.client_id, s.description, s.events, s.verify, s.began, s.position, s.created_at, s.seen_at`

// streamRow receives streamColumns.
type streamRow struct {
	stream        storage.Stream
	created, seen int64
}

func (r *streamRow) dest(more ...any) []any {
	s := &r.stream
	return append([]any{&s.Tenant, &s.ID, &s.ClientID, &s.Description, &s.Events, &s.Verify, &s.Began, &s.Position, &r.created, &r.seen}, more...)
}

func (r *streamRow) read() storage.Stream {
	r.stream.CreatedAt, r.stream.SeenAt = moment(r.created), moment(r.seen)
	return r.stream
}

// CreateStream adds a stream that begins where the feed stands, and gives it back with that position. A client has most of
// them: when it has, the oldest that was never polled makes way if it is storage.UnpolledFor old, or else it fails with
// storage.ErrTooMany.
func (s *Store) CreateStream(ctx context.Context, n storage.Stream, most int) (storage.Stream, error) {
	var began int64
	err := s.writer.do(ctx, func(tx *statements) error {
		if err := makeWay(tx, n, most); err != nil {
			return err
		}
		return tx.row(context.Background(), `INSERT INTO streams (tenant, id, client_id, description, events, verify, began, position, created_at, seen_at)
			SELECT ?1, ?2, ?3, ?4, ?5, '', sequence, sequence, ?6, ?6 FROM feed RETURNING began`,
			[]any{n.Tenant, n.ID, n.ClientID, n.Description, n.Events, millis(n.CreatedAt)}, &began)
	})
	if err != nil {
		return storage.Stream{}, err
	}
	n.Began, n.Position, n.SeenAt, n.Verify = began, began, n.CreatedAt, ""
	return n, nil
}

// makeWay sees to it that there is room for one more stream of a client.
func makeWay(tx *statements, n storage.Stream, most int) error {
	var there int
	if err := tx.row(context.Background(), `SELECT count(*) FROM streams WHERE tenant = ?1 AND client_id = ?2`, []any{n.Tenant, n.ClientID}, &there); err != nil {
		return err
	}
	surplus := there - most + 1
	if surplus <= 0 {
		return nil
	}
	gone, err := tx.exec(`DELETE FROM streams WHERE num IN (SELECT num FROM streams WHERE tenant = ?1 AND client_id = ?2
		AND seen_at = created_at AND created_at <= ?3 ORDER BY created_at, num LIMIT ?4)`,
		n.Tenant, n.ClientID, millis(n.CreatedAt.Add(-storage.UnpolledFor)), surplus)
	if err == nil && gone < int64(surplus) {
		err = storage.ErrTooMany
	}
	return err
}

// feedAfter reads a stream, the feed and the stream's next revocations in one statement, so that they are of one moment.
const feedAfter = `SELECT ` + streamColumns + `, f.epoch, f.sequence,
		coalesce(r.sequence, 0), coalesce(r.tenant, ''), coalesce(r.id, ''), coalesce(r.kind, ''), coalesce(r.target, ''),
		coalesce(r.generation, 0), coalesce(r.asked_by, ''), coalesce(r.at, 0)
	FROM streams s CROSS JOIN feed f LEFT JOIN revocations r ON r.sequence > s.position
	WHERE f.one = 1 AND s.id = ?1 AND s.tenant = ?2 AND s.client_id = ?3 ORDER BY r.sequence LIMIT ?4`

// ReadFeed gives what a client's stream has not acknowledged, at most limit revocations, or fails with storage.ErrNotFound.
// The revocations are of all tenants: which of them the stream may hear is the caller's part.
func (s *Store) ReadFeed(ctx context.Context, tenant, clientID, streamID string, limit int) (storage.FeedPage, error) {
	var page storage.FeedPage
	found := false
	err := s.point.each(ctx, feedAfter, []any{streamID, tenant, clientID, limit}, func(rows *sql.Rows) error {
		var row streamRow
		var r storage.Revocation
		var at int64
		if err := rows.Scan(row.dest(&page.Feed.Epoch, &page.Feed.Sequence,
			&r.Sequence, &r.Tenant, &r.ID, &r.Kind, &r.Target, &r.Generation, &r.By, &at)...); err != nil {
			return err
		}
		page.Stream, found = row.read(), true
		if r.Sequence > 0 {
			r.At = moment(at)
			page.Events = append(page.Events, r)
		}
		return nil
	})
	if err == nil && !found {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.FeedPage{}, err
	}
	return page, nil
}

// Acknowledge notes that a stream was there at that time and has applied everything through a sequence. A stream never goes
// back: an acknowledgement of less than was acknowledged before says only that it was there. It fails with storage.ErrNotFound.
func (s *Store) Acknowledge(ctx context.Context, tenant, clientID, streamID string, through int64, at time.Time) error {
	return s.writer.do(ctx, func(tx *statements) error {
		var num, before int64
		err := tx.row(context.Background(), `SELECT num, position FROM streams WHERE id = ?1 AND tenant = ?2 AND client_id = ?3`,
			[]any{streamID, tenant, clientID}, &num, &before)
		if err != nil {
			return err
		}
		if _, err := tx.exec(`UPDATE streams SET position = max(position, ?2), seen_at = max(seen_at, ?3) WHERE num = ?1`, num, through, millis(at)); err != nil {
			return err
		}
		if through <= before {
			return nil
		}
		_, err = tx.exec(`INSERT INTO acknowledgements (stream_num, through, at) VALUES (?1, ?2, ?3)`, num, through, millis(at))
		return err
	})
}

// AskVerification lets a verification event with that state wait for a stream; an empty state takes it back. It fails with
// storage.ErrNotFound.
func (s *Store) AskVerification(ctx context.Context, tenant, clientID, streamID, state string) error {
	return s.changeStream(ctx, `UPDATE streams SET verify = ?4 WHERE id = ?1 AND tenant = ?2 AND client_id = ?3`, streamID, tenant, clientID, state)
}

// DeleteStream ends a stream, or fails with storage.ErrNotFound.
func (s *Store) DeleteStream(ctx context.Context, tenant, clientID, streamID string) error {
	return s.changeStream(ctx, `DELETE FROM streams WHERE id = ?1 AND tenant = ?2 AND client_id = ?3`, streamID, tenant, clientID)
}

func (s *Store) changeStream(ctx context.Context, query string, args ...any) error {
	return s.writer.do(ctx, func(tx *statements) error {
		n, err := tx.exec(query, args...)
		if err == nil && n == 0 {
			err = storage.ErrNotFound
		}
		return err
	})
}

// Streams lists the streams of a tenant, by client and description, and says where the feed stands.
func (s *Store) Streams(ctx context.Context, tenant string) (list []storage.Stream, feed storage.Position, err error) {
	if feed, err = s.FeedPosition(ctx); err != nil {
		return nil, storage.Position{}, err
	}
	err = s.listing.each(ctx, `SELECT `+streamColumns+` FROM streams s WHERE s.tenant = ?1 ORDER BY s.client_id, s.description, s.id`,
		[]any{tenant}, func(rows *sql.Rows) error {
			var row streamRow
			if err := rows.Scan(row.dest()...); err != nil {
				return err
			}
			list = append(list, row.read())
			return nil
		})
	return list, feed, err
}

// FeedPosition says where the feed stands.
func (s *Store) FeedPosition(ctx context.Context) (storage.Position, error) {
	var p storage.Position
	err := s.point.row(ctx, `SELECT epoch, sequence FROM feed`, nil, &p.Epoch, &p.Sequence)
	return p, err
}

// Applied tells which streams have applied the revocation with that sequence, and when they said so. Streams that began
// after it are not among them, nor is what is older than the memory of acknowledgements, an hour.
func (s *Store) Applied(ctx context.Context, tenant string, sequence int64) ([]storage.Applied, error) {
	var list []storage.Applied
	err := s.listing.each(ctx, `SELECT s.id, s.client_id, s.description, min(a.at) FROM streams s
		JOIN acknowledgements a ON a.stream_num = s.num AND a.through >= ?2
		WHERE s.tenant = ?1 AND s.began < ?2 GROUP BY s.num ORDER BY s.client_id, s.description, s.id`,
		[]any{tenant, sequence}, func(rows *sql.Rows) error {
			var a storage.Applied
			var at int64
			if err := rows.Scan(&a.StreamID, &a.ClientID, &a.Description, &at); err != nil {
				return err
			}
			a.At = moment(at)
			list = append(list, a)
			return nil
		})
	return list, err
}

// BeginEpoch is for a database that was restored from a backup: what was revoked after the backup is not in it any more. So
// everything is revoked, and the feed gets a new epoch, by which every gateway forgets what it cached.
func (s *Store) BeginEpoch(ctx context.Context, everything storage.Revocation) error {
	if err := checkReach(everything); err != nil {
		return err
	}
	return s.writer.do(ctx, func(tx *statements) error {
		if _, err := tx.exec(`UPDATE feed SET epoch = lower(hex(randomblob(16)))`); err != nil {
			return err
		}
		_, err := revoke(tx, []storage.Revocation{everything})
		return err
	})
}
