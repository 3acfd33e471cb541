-- +goose Up

-- A stream is one gateway replica that hears the revocation feed. position is the last sequence before which it has applied
-- everything; it outlives the node that the gateway speaks to.
CREATE TABLE streams (
    num         INTEGER PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    client_id   TEXT    NOT NULL,
    description TEXT    NOT NULL,
    events      TEXT    NOT NULL, -- those it asked for, space separated
    verify      TEXT    NOT NULL, -- the state of a verification event that waits for it; empty: none does
    began       INTEGER NOT NULL, -- the feed's sequence when it was made: earlier revocations are none of its business
    position    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX streams_id ON streams (id);
CREATE INDEX streams_seen ON streams (seen_at);

-- When a stream had applied everything through a sequence.
CREATE TABLE acknowledgements (
    stream_num INTEGER NOT NULL REFERENCES streams (num) ON DELETE CASCADE,
    through    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (stream_num, through)
) STRICT, WITHOUT ROWID;
CREATE INDEX acknowledgements_at ON acknowledgements (at);
