-- +goose Up

-- Every time is in milliseconds since 1970, UTC; 0 means never. Every table is STRICT: a wrong type is refused, not bent.

-- One row for each reach that was ever revoked: a missing row counts as 0. Only revoking makes rows.
-- WITHOUT ROWID: it is read by its key only, several times for every token, and has nothing else in it.
CREATE TABLE generations (
    tenant     TEXT    NOT NULL, -- empty for the kind everything
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    generation INTEGER NOT NULL CHECK (generation > 0),
    PRIMARY KEY (tenant, kind, id)
) STRICT, WITHOUT ROWID;

-- num is inside this file only: children refer to it, so that their index grows at its end and stays small. It may be
-- used again after a grant is gone, which the foreign keys make harmless: a grant goes after its last child.
CREATE TABLE grants (
    num               INTEGER PRIMARY KEY,
    tenant            TEXT    NOT NULL,
    id                TEXT    NOT NULL,
    client_id         TEXT    NOT NULL,
    subject           TEXT    NOT NULL, -- empty for a machine client
    session_id        TEXT    NOT NULL, -- empty for a machine client
    scope             TEXT    NOT NULL,
    offline           INTEGER NOT NULL,
    wrapped_key       BLOB    NOT NULL, -- empty once destroyed
    birth_everything  INTEGER NOT NULL,
    birth_tenant      INTEGER NOT NULL,
    birth_client      INTEGER NOT NULL,
    birth_user        INTEGER NOT NULL,
    birth_user_client INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX grants_id ON grants (tenant, id);
CREATE INDEX grants_client ON grants (tenant, client_id);
CREATE INDEX grants_user ON grants (tenant, subject) WHERE subject <> '';
CREATE INDEX grants_session ON grants (tenant, session_id) WHERE session_id <> '';
CREATE INDEX grants_end ON grants (expires_at);

-- Hashes stand before the tenant in the indexes: they differ in their first bytes, tenants mostly do not.
CREATE TABLE access_tokens (
    num        INTEGER PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    jti        TEXT    NOT NULL,
    grant_num  INTEGER NOT NULL REFERENCES grants (num),
    scope      TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX access_tokens_hash ON access_tokens (hash, tenant);
CREATE UNIQUE INDEX access_tokens_jti ON access_tokens (tenant, jti);
CREATE INDEX access_tokens_grant ON access_tokens (grant_num);
CREATE INDEX access_tokens_end ON access_tokens (expires_at);

-- Consumed rows stay until their own end: that is how reuse is noticed.
CREATE TABLE refresh_tokens (
    num         INTEGER PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    hash        BLOB    NOT NULL,
    grant_num   INTEGER NOT NULL REFERENCES grants (num),
    scope       TEXT    NOT NULL,
    value       BLOB    NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    consumed_at INTEGER NOT NULL,
    answer      BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX refresh_tokens_hash ON refresh_tokens (hash, tenant);
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_num);
CREATE INDEX refresh_tokens_end ON refresh_tokens (expires_at);

CREATE TABLE codes (
    num         INTEGER PRIMARY KEY,
    tenant      TEXT    NOT NULL,
    hash        BLOB    NOT NULL,
    grant_num   INTEGER NOT NULL REFERENCES grants (num),
    value       BLOB    NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    consumed_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX codes_hash ON codes (hash, tenant);
CREATE INDEX codes_grant ON codes (grant_num);
CREATE INDEX codes_end ON codes (expires_at);

CREATE TABLE sessions (
    num              INTEGER PRIMARY KEY,
    tenant           TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    hash             BLOB    NOT NULL,
    subject          TEXT    NOT NULL,
    acr              TEXT    NOT NULL,
    amr              TEXT    NOT NULL,
    birth_everything INTEGER NOT NULL,
    birth_tenant     INTEGER NOT NULL,
    birth_user       INTEGER NOT NULL,
    auth_time        INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    ended_at         INTEGER NOT NULL -- by its own logout; a revocation of it is a generation
) STRICT;
CREATE UNIQUE INDEX sessions_hash ON sessions (hash, tenant);
CREATE UNIQUE INDEX sessions_id ON sessions (tenant, id);
CREATE INDEX sessions_end ON sessions (expires_at);

CREATE TABLE consents (
    tenant    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    client_id TEXT    NOT NULL,
    scope     TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (tenant, subject, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    tenant  TEXT NOT NULL,
    login   TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (tenant, login)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX accounts_subject ON accounts (tenant, subject);

CREATE TABLE signing_keys (
    tenant      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    algorithm   TEXT    NOT NULL,
    private_key BLOB    NOT NULL, -- sealed
    public_key  BLOB    NOT NULL,
    created_at  INTEGER NOT NULL,
    active_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- The outbox of the revocation feed, and the record of what was done.
CREATE TABLE revocations (
    sequence   INTEGER PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    asked_by   TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    swept_to   INTEGER           -- keys of its grants up to this num are destroyed; NULL: all of them
) STRICT;
CREATE UNIQUE INDEX revocations_id ON revocations (tenant, id);
CREATE INDEX revocations_unswept ON revocations (sequence) WHERE swept_to IS NOT NULL;

-- One row. The epoch is random, so that a database that was made anew is not taken for the old one.
CREATE TABLE feed (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    epoch    TEXT    NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
INSERT INTO feed (one, epoch, sequence) VALUES (1, lower(hex(randomblob(16))), 0);
