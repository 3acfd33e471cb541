-- +goose Up

-- How often the token descends by exchange (RFC 8693) from one that a client was given; 0: never. An exchanged token hangs
-- on its ancestor's grant, so every reach of the grant is its own; no reference leads to it, only its jti does.
ALTER TABLE access_tokens ADD COLUMN hops INTEGER NOT NULL DEFAULT 0;

-- One row for each hop of each exchanged token, those of its ancestors included: what it lives by besides its grant. A
-- token cannot go before what descends from it, so its reach stays as long as it can end something.
CREATE TABLE exchanges (
    token_num         INTEGER NOT NULL REFERENCES access_tokens (num) ON DELETE CASCADE,
    hop               INTEGER NOT NULL CHECK (hop > 0), -- 1 is the first exchange
    tenant            TEXT    NOT NULL,
    parent_jti        TEXT    NOT NULL, -- the token that this hop exchanged
    client_id         TEXT    NOT NULL, -- who exchanged it
    birth_client      INTEGER NOT NULL,
    birth_user_client INTEGER NOT NULL,
    PRIMARY KEY (token_num, hop),
    FOREIGN KEY (tenant, parent_jti) REFERENCES access_tokens (tenant, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX exchanges_parent ON exchanges (tenant, parent_jti);
