-- +goose Up
-- Requests that are safe to repeat, with the responses that their repeats get. A row is made, and locked by being made, before the work of
-- its request; it is seen by others with its response or not at all.
CREATE TABLE idempotency_keys (
    user_id     text COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
    key         text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    fingerprint bytea            NOT NULL CHECK (octet_length(fingerprint) = 32),
    keep_until  timestamptz      NOT NULL,
    status      smallint         CHECK (status BETWEEN 200 AND 299),
    headers     jsonb            CHECK (jsonb_typeof(headers) = 'object'),
    body        bytea            CHECK (octet_length(body) <= 1048576),
    PRIMARY KEY (user_id, key),
    CONSTRAINT idempotency_keys_response_whole CHECK (num_nulls(status, headers, body) IN (0, 3))
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, fillfactor = 50);
CREATE INDEX idempotency_keys_keep_until ON idempotency_keys (keep_until);

-- A user's sessions are listed by when they were created, so members know that of their session; the default is for rows that an older
-- version inserts when it creates one. session_open turns false when the session ends or fails: those that go on are few among those that
-- were, and are found by an index of their own. It only narrows a search; what a session's status is, its row says.
ALTER TABLE members
    ADD COLUMN session_created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN session_open       boolean     NOT NULL DEFAULT true;
UPDATE members m SET session_created_at = s.created_at, session_open = s.ended_at IS NULL FROM sessions s WHERE s.id = m.session_id;
CREATE INDEX members_list ON members (user_id, session_created_at DESC, session_id DESC);
CREATE INDEX members_list_open ON members (user_id, session_created_at DESC, session_id DESC) WHERE session_open;

-- The secret by which cursors that were given out are known again, on every replica and after every restart.
CREATE TABLE cursor_keys (
    id     smallint PRIMARY KEY CHECK (id = 1),
    secret bytea    NOT NULL CHECK (octet_length(secret) = 32)
);
INSERT INTO cursor_keys (id, secret)
SELECT 1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
