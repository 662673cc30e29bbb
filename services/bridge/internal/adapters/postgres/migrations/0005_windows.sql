-- +goose Up
-- Whoever is lost has a window to come back in. The version before this one writes none, so that nothing here asks for one.
ALTER TABLE participants
    DROP CONSTRAINT participants_presence_check,
    ADD CONSTRAINT participants_presence_check CHECK (presence IN ('absent', 'present', 'replaced', 'reconnecting')),
    ADD COLUMN window_reason   text CHECK (window_reason <> ''),
    ADD COLUMN window_parting  text CHECK (window_parting IN ('in_order', 'lost', 'vanished')),
    ADD COLUMN window_told     boolean NOT NULL DEFAULT false,
    ADD COLUMN window_since    timestamptz,
    ADD COLUMN window_deadline timestamptz,
    ADD CONSTRAINT participants_window_is_whole CHECK (num_nulls(window_reason, window_parting, window_since, window_deadline) IN (0, 4));
ALTER TABLE mappings
    ADD COLUMN interrupted        boolean NOT NULL DEFAULT false,
    ADD COLUMN last_left_vanished boolean NOT NULL DEFAULT false;

-- The sessions with open windows: when the first one ends, and who looks after it. A claim is never given twice; it lasts until
-- next_attempt_at.
CREATE SEQUENCE window_claims;
CREATE TABLE windows (
    session_id      uuid        PRIMARY KEY REFERENCES mappings ON DELETE CASCADE,
    ends_at         timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    claim           bigint
) WITH (fillfactor = 70);
CREATE INDEX windows_next_attempt_at ON windows (next_attempt_at);

-- Who of the replicas compares all that is stored with LiveKit, and how far they are. There is one row.
CREATE TABLE reconciliation (
    single       boolean PRIMARY KEY DEFAULT true CHECK (single),
    holder       text,
    expires_at   timestamptz,
    begun        bigint  NOT NULL DEFAULT 0,
    completed    bigint  NOT NULL DEFAULT 0 CHECK (completed <= begun),
    completed_at timestamptz,
    CHECK ((holder IS NULL) = (expires_at IS NULL)),
    CHECK ((completed = 0) = (completed_at IS NULL))
) WITH (fillfactor = 50);
INSERT INTO reconciliation DEFAULT VALUES;
CREATE INDEX mappings_unsettled ON mappings (session_id) WHERE disconnected_at IS NULL AND (NOT final OR connected_at IS NOT NULL);

-- Whoever was replaced when the version before this one ran is waited for from now on.
UPDATE participants SET window_reason = 'unknown', window_parting = 'in_order', window_told = true, window_since = joined_at,
    window_deadline = clock_timestamp() + interval '30 seconds'
    WHERE presence = 'replaced';
INSERT INTO windows (session_id, ends_at, next_attempt_at)
    SELECT session_id, min(window_deadline), min(window_deadline) FROM participants WHERE window_deadline IS NOT NULL GROUP BY session_id;

-- +goose Down
UPDATE participants SET presence = 'present' WHERE presence = 'reconnecting';
DROP INDEX mappings_unsettled;
DROP TABLE reconciliation, windows;
DROP SEQUENCE window_claims;
ALTER TABLE mappings DROP COLUMN interrupted, DROP COLUMN last_left_vanished;
ALTER TABLE participants
    DROP COLUMN window_reason, DROP COLUMN window_parting, DROP COLUMN window_told, DROP COLUMN window_since, DROP COLUMN window_deadline,
    DROP CONSTRAINT participants_presence_check,
    ADD CONSTRAINT participants_presence_check CHECK (presence IN ('absent', 'present', 'replaced'));
