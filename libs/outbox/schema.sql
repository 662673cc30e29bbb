CREATE TABLE outbox (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane          smallint    NOT NULL CHECK (lane BETWEEN 0 AND 3),
    partition_key text        NOT NULL CHECK (partition_key <> ''),
    exchange      text        NOT NULL,
    routing_key   text        NOT NULL,
    message_id    uuid        NOT NULL,
    headers       jsonb       NOT NULL CHECK (jsonb_typeof(headers) = 'object'),
    body          bytea       NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at  timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_unpublished ON outbox (lane, id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

CREATE TABLE outbox_lanes (
    lane       smallint    PRIMARY KEY CHECK (lane BETWEEN 0 AND 3),
    holder     text,
    fence      bigint      NOT NULL DEFAULT 0 CHECK (fence >= 0),
    expires_at timestamptz,
    CHECK ((holder IS NULL) = (expires_at IS NULL))
) WITH (fillfactor = 50);
INSERT INTO outbox_lanes (lane) SELECT generate_series(0, 3);

CREATE TABLE outbox_relays (
    holder     text        PRIMARY KEY,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);
