-- +goose Up
-- What streams of events need: when something was logged, what a user may follow of a session, and how far consumers have come.

-- The database's clock at the append, with the session's row locked: within a session it grows with seq, whatever the replicas' clocks say.
ALTER TABLE events ADD COLUMN logged_at timestamptz;
UPDATE events SET logged_at = appended_at;
ALTER TABLE events
    ALTER COLUMN logged_at SET DEFAULT clock_timestamp(),
    ALTER COLUMN logged_at SET NOT NULL;

-- Sessions with something logged after a time are found by it. The trigger keeps it, so that it is right also for what a version appends that
-- doesn't know the column.
ALTER TABLE sessions ADD COLUMN last_logged_at timestamptz NOT NULL DEFAULT now();
UPDATE sessions s SET last_logged_at = e.logged_at FROM events e WHERE e.session_id = s.id AND e.seq = s.last_seq;
-- +goose StatementBegin
CREATE FUNCTION sessions_logged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.last_logged_at := clock_timestamp();
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER sessions_logged BEFORE UPDATE OF last_seq ON sessions
    FOR EACH ROW WHEN (NEW.last_seq > OLD.last_seq) EXECUTE FUNCTION sessions_logged();

-- Of a session a user may follow what lies between the event that made them a member, and the one that removed them. Who is a member
-- already, or is made one by a version that doesn't know the column, may follow all of it.
ALTER TABLE members ADD COLUMN since_seq bigint NOT NULL DEFAULT 1 CHECK (since_seq >= 1);

-- A row a membership that is over.
CREATE TABLE former_members (
    session_id uuid             NOT NULL REFERENCES sessions ON DELETE CASCADE,
    user_id    text COLLATE "C" NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 128),
    since_seq  bigint           NOT NULL CHECK (since_seq >= 1),
    until_seq  bigint           NOT NULL,
    removed_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session_id, user_id, since_seq),
    CONSTRAINT former_members_order CHECK (until_seq > since_seq)
);
CREATE INDEX former_members_removed_at ON former_members (user_id, removed_at);

-- How far a consumer has come in a session's log, as it has said itself. seq is the event's: it decides which of two is further.
CREATE TABLE checkpoints (
    session_id uuid             NOT NULL REFERENCES sessions ON DELETE CASCADE,
    principal  text COLLATE "C" NOT NULL CHECK (octet_length(principal) BETWEEN 1 AND 128),
    consumer   text COLLATE "C" NOT NULL CHECK (octet_length(consumer) BETWEEN 1 AND 64),
    event_id   uuid             NOT NULL,
    seq        bigint           NOT NULL CHECK (seq >= 1),
    updated_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (session_id, principal, consumer)
) WITH (fillfactor = 70);
