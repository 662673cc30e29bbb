-- +goose Up
-- What the bridge knows: sessions' rooms, who was given a token, what is shown of them, and what is still to be done.

CREATE TABLE mappings (
    session_id      uuid        PRIMARY KEY,
    room_name       text        NOT NULL UNIQUE CHECK (room_name <> ''),
    session_version bigint      NOT NULL CHECK (session_version >= 0),
    final           boolean     NOT NULL,
    revision        bigint      NOT NULL CHECK (revision >= 0),
    episode         integer     NOT NULL CHECK (episode >= 0),
    room_phase      text        NOT NULL CHECK (room_phase IN ('unseen', 'open', 'finished')),
    room_sid        text        CHECK (room_sid <> ''),
    first_room_sid  text        CHECK (first_room_sid <> ''),
    room_created_at timestamptz,
    connecting_at   timestamptz,
    connected_at    timestamptz,
    disconnected_at timestamptz,
    last_left_at    timestamptz,
    last_left_lost  boolean     NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK ((room_phase = 'unseen') = (room_sid IS NULL)),
    CHECK ((room_sid IS NULL) = (first_room_sid IS NULL)),
    CHECK (connected_at IS NULL OR connecting_at IS NOT NULL),
    CHECK (disconnected_at IS NULL OR connected_at IS NOT NULL),
    CHECK (disconnected_at >= connected_at)
) WITH (fillfactor = 70);

CREATE TABLE members (
    session_id uuid    NOT NULL REFERENCES mappings ON DELETE CASCADE,
    user_id    text    NOT NULL CHECK (user_id <> ''),
    role       text    NOT NULL CHECK (role IN ('host', 'participant', 'viewer') OR (removed AND role = '')),
    version    bigint  NOT NULL CHECK (version >= 0),
    removed    boolean NOT NULL,
    PRIMARY KEY (session_id, user_id)
);

CREATE TABLE participants (
    session_id      uuid        NOT NULL REFERENCES mappings ON DELETE CASCADE,
    identity        text        NOT NULL CHECK (octet_length(identity) BETWEEN 1 AND 256),
    user_id         text        NOT NULL CHECK (user_id <> ''),
    device_id       text        NOT NULL CHECK (device_id <> ''),
    presence        text        NOT NULL CHECK (presence IN ('absent', 'present', 'replaced')),
    participant_sid text        CHECK (participant_sid <> ''),
    joined_at       timestamptz,
    episode         integer     NOT NULL CHECK (episode >= 0),
    PRIMARY KEY (session_id, identity),
    UNIQUE (session_id, user_id, device_id),
    CHECK ((participant_sid IS NULL) = (joined_at IS NULL)),
    CHECK (presence = 'absent' OR (participant_sid IS NOT NULL AND episode > 0))
) WITH (fillfactor = 70);

CREATE TABLE tracks (
    session_id   uuid        NOT NULL,
    identity     text        NOT NULL,
    track_sid    text        NOT NULL CHECK (track_sid <> ''),
    kind         text        NOT NULL CHECK (kind IN ('audio', 'video', 'data')),
    source       text        NOT NULL CHECK (source IN ('camera', 'microphone', 'screen_share', 'screen_share_audio', 'unknown')),
    name         text        NOT NULL,
    mime_type    text        NOT NULL,
    published_at timestamptz NOT NULL,
    open         boolean     NOT NULL,
    PRIMARY KEY (session_id, identity, track_sid),
    FOREIGN KEY (session_id, identity) REFERENCES participants ON DELETE CASCADE
);

-- Of a webhook's body nothing is kept but this: the body carries a secret of the room.
CREATE TABLE webhook_receipts (
    webhook_id  text        PRIMARY KEY CHECK (webhook_id <> ''),
    kind        text        NOT NULL CHECK (kind <> ''),
    room_name   text        NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX webhook_receipts_received_at ON webhook_receipts (received_at);

-- A generation is never given twice, so that whoever finishes late doesn't take a later request off the list.
CREATE SEQUENCE room_deletion_generations;
CREATE TABLE room_deletions (
    room_name       text        PRIMARY KEY REFERENCES mappings (room_name) ON DELETE CASCADE,
    generation      bigint      NOT NULL,
    attempts        integer     NOT NULL CHECK (attempts >= 0),
    requested_at    timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL
);
CREATE INDEX room_deletions_next_attempt_at ON room_deletions (next_attempt_at);

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

-- +goose Down
DROP TABLE outbox_relays, outbox_lanes, outbox, room_deletions, webhook_receipts, tracks, participants, members, mappings;
DROP SEQUENCE room_deletion_generations;
