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
