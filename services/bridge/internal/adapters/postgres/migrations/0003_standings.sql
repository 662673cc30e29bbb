-- +goose Up
-- Tokens from before a member's role changed may be about: whoever comes with one is held to what they are now.
ALTER TABLE participants ADD COLUMN outdated boolean NOT NULL DEFAULT false;

-- What the provider is to be told of participants: the rights of their role, or that they must not be in the room. A newer standing takes
-- the place of the older one, but not of the claim of who works on it. A generation or claim is never given twice.
CREATE SEQUENCE standing_generations;
CREATE TABLE standings (
    session_id      uuid        NOT NULL,
    identity        text        NOT NULL,
    user_id         text        NOT NULL CHECK (user_id <> ''),
    role            text        CHECK (role IN ('host', 'participant', 'viewer')), -- null: to be removed
    generation      bigint      NOT NULL,
    attempts        integer     NOT NULL CHECK (attempts >= 0),
    requested_at    timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    claim           bigint,
    claimed_until   timestamptz,
    removing        boolean     NOT NULL DEFAULT false, -- what is claimed is a removal
    PRIMARY KEY (session_id, identity),
    FOREIGN KEY (session_id, identity) REFERENCES participants ON DELETE CASCADE,
    CHECK ((claim IS NULL) = (claimed_until IS NULL)),
    CHECK (claim IS NOT NULL OR NOT removing)
);
CREATE INDEX standings_next_attempt_at ON standings (next_attempt_at);

-- +goose Down
DROP TABLE standings;
DROP SEQUENCE standing_generations;
ALTER TABLE participants DROP COLUMN outdated;
