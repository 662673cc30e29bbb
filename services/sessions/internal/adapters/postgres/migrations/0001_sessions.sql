-- +goose Up
-- The sessions, their logs, and the outbox. The CHECK constraints say again what the domain holds to.

CREATE TABLE sessions (
    id                      uuid        PRIMARY KEY,
    owner_id                text        NOT NULL CHECK (octet_length(owner_id) BETWEEN 1 AND 128),
    status                  text        NOT NULL CHECK (status IN ('created', 'active', 'reconnecting', 'ended', 'failed')),
    title                   text        CHECK (char_length(title) BETWEEN 1 AND 200),
    kind                    text        NOT NULL CHECK (kind IN ('audio', 'video')),
    provider                text        NOT NULL CHECK (octet_length(provider) BETWEEN 1 AND 64),
    provider_room_id        text        CHECK (octet_length(provider_room_id) BETWEEN 1 AND 256),
    provider_participant_id text        CHECK (octet_length(provider_participant_id) BETWEEN 1 AND 256),
    provider_call_id        text        CHECK (octet_length(provider_call_id) BETWEEN 1 AND 256),
    -- json, not jsonb: it is given back as it came, numbers included.
    metadata                json        NOT NULL CHECK (json_typeof(metadata) = 'object' AND octet_length(metadata::text) <= 16384),
    version                 bigint      NOT NULL CHECK (version >= 1),
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL,
    started_at              timestamptz,
    ended_at                timestamptz,
    end_reason              text        CHECK (char_length(end_reason) BETWEEN 1 AND 128),
    error_code              text        CHECK (octet_length(error_code) BETWEEN 1 AND 64),
    error_message           text        CHECK (char_length(error_message) <= 1024),
    disconnected            boolean     NOT NULL DEFAULT false,
    last_seq                bigint      NOT NULL CHECK (last_seq >= 1),
    last_event_id           uuid        NOT NULL,

    CONSTRAINT sessions_correlation_whole CHECK (num_nulls(provider_room_id, provider_participant_id, provider_call_id, started_at) IN (0, 4)),
    CONSTRAINT sessions_started           CHECK (status NOT IN ('active', 'reconnecting') OR started_at IS NOT NULL),
    CONSTRAINT sessions_not_started       CHECK (status <> 'created' OR started_at IS NULL),
    CONSTRAINT sessions_final             CHECK ((status IN ('ended', 'failed')) = (ended_at IS NOT NULL)),
    CONSTRAINT sessions_failed            CHECK ((status = 'failed') = (error_code IS NOT NULL) AND num_nulls(error_code, error_message) IN (0, 2)),
    CONSTRAINT sessions_order_of_times    CHECK (updated_at >= created_at AND (ended_at IS NULL OR started_at IS NULL OR ended_at >= started_at))
);

CREATE TABLE members (
    session_id uuid             NOT NULL REFERENCES sessions ON DELETE CASCADE,
    user_id    text COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
    role       text             NOT NULL CHECK (role IN ('host', 'participant', 'viewer')),
    PRIMARY KEY (session_id, user_id)
);

CREATE TABLE participants (
    session_id  uuid             NOT NULL REFERENCES sessions ON DELETE CASCADE,
    identity    text COLLATE "C" NOT NULL CHECK (octet_length(identity) BETWEEN 1 AND 256),
    user_id     text             NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
    presence    text             NOT NULL CHECK (presence IN ('present', 'reconnecting', 'left')),
    joined_at   timestamptz      NOT NULL,
    open_tracks jsonb            NOT NULL CHECK (jsonb_typeof(open_tracks) = 'array'),
    PRIMARY KEY (session_id, identity)
);

-- A session's log. Rows are only ever added, in the order of seq, with the session's row locked.
CREATE TABLE events (
    session_id  uuid        NOT NULL REFERENCES sessions ON DELETE CASCADE,
    seq         bigint      NOT NULL CHECK (seq >= 1),
    event_id    uuid        NOT NULL,
    type        text        NOT NULL CHECK (octet_length(type) BETWEEN 1 AND 64),
    digest      bytea       NOT NULL CHECK (octet_length(digest) = 32),
    envelope    json        NOT NULL,
    appended_at timestamptz NOT NULL,
    PRIMARY KEY (session_id, seq),
    CONSTRAINT events_once UNIQUE (session_id, event_id)
);

-- What came in and made no valid change, also for sessions that are not here.
CREATE TABLE quarantine (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id     uuid        NOT NULL,
    event_id       uuid        NOT NULL,
    type           text        NOT NULL,
    digest         bytea       NOT NULL CHECK (octet_length(digest) = 32),
    reason         text        NOT NULL CHECK (reason <> ''),
    detail         text        NOT NULL,
    envelope       json        NOT NULL,
    quarantined_at timestamptz NOT NULL,
    CONSTRAINT quarantine_once UNIQUE (session_id, event_id, digest)
);

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
