-- +goose Up
-- What becomes due by itself: sessions that nobody joins in time, and sessions that are kept no longer.

-- The activation timeout counts from activation_from. Who claims or postpones a session moves it; activation_claims tells one claim from the
-- next. Sessions that are there already get the whole timeout anew, and a version that doesn't know the columns leaves them alone.
ALTER TABLE sessions
    ADD COLUMN activation_from   timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN activation_claims integer     NOT NULL DEFAULT 0 CHECK (activation_claims >= 0);
CREATE INDEX sessions_awaiting_activation ON sessions (activation_from) WHERE status = 'created';

CREATE INDEX sessions_over ON sessions (ended_at) WHERE status IN ('ended', 'failed');
CREATE INDEX quarantine_quarantined_at ON quarantine (quarantined_at);
