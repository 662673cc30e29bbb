-- +goose Up
-- How it is known what a mapping says: told by a webhook, seen in a listing or an answer, or
-- inferred.
--
-- The version before this one leaves these columns as they are when it changes a row. So no
-- constraint here joins one of them to a column whose change they would have to follow, and the
-- reader judges what is stale: a grace period's denial, for one, counts only while the grace period
-- is open.

-- A finish was told where the sid of the room is among finished_room_sids. look_at is when the
-- provider is to be asked for the room. Since unattended_since listings show it without a member
-- and a phone.
ALTER TABLE mappings
    ADD COLUMN room_evidence      text  CHECK (room_evidence IN ('told', 'seen', 'inferred')),
    ADD COLUMN room_finished_at   timestamptz,
    ADD COLUMN finished_room_sids jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(finished_room_sids) = 'array'),
    ADD COLUMN look_at            timestamptz,
    ADD COLUMN unattended_since   timestamptz,
    ADD CONSTRAINT mappings_unseen_has_no_evidence CHECK (room_evidence IS NULL OR room_phase <> 'unseen'),
    ADD CONSTRAINT mappings_finished_was_seen CHECK
        ((room_finished_at IS NULL AND finished_room_sids = '[]') OR room_sid IS NOT NULL);

-- ended_sids are the connections whose end was told; no older row has any, so that what ended them
-- can still turn out to be a guess. unanswered says that no node answers for a connection that is
-- listed.
ALTER TABLE participants
    ADD COLUMN evidence        text    CHECK (evidence IN ('told', 'seen')),
    ADD COLUMN ended_sids      jsonb   NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(ended_sids) = 'array'),
    ADD COLUMN unanswered      boolean NOT NULL DEFAULT false,
    ADD COLUMN grace_denied_at timestamptz,
    ADD CONSTRAINT participants_evidence_is_of_a_connection CHECK (evidence IS NULL OR participant_sid IS NOT NULL),
    ADD CONSTRAINT participants_denied_had_a_connection CHECK (grace_denied_at IS NULL OR participant_sid IS NOT NULL);

-- The episode grows with each inferred end that is undone. No version opens a track whose end was
-- inferred but this one, which then writes the evidence as well.
ALTER TABLE tracks
    ADD COLUMN evidence text    NOT NULL DEFAULT 'told' CHECK (evidence IN ('told', 'seen', 'inferred')),
    ADD COLUMN episode  integer NOT NULL DEFAULT 0 CHECK (episode >= 0),
    ADD CONSTRAINT tracks_open_are_not_inferred CHECK (NOT open OR evidence <> 'inferred');

-- An identity that isn't mapped can have to be removed: a second connection on a member's token,
-- which is of no user. So a permission sync belongs to the mapping.
ALTER TABLE standings
    DROP CONSTRAINT standings_session_id_identity_fkey,
    DROP CONSTRAINT standings_user_id_check,
    ADD CONSTRAINT standings_session_id_fkey FOREIGN KEY (session_id) REFERENCES mappings ON DELETE CASCADE,
    ADD CONSTRAINT standings_identity_check CHECK (octet_length(identity) BETWEEN 1 AND 1024),
    ADD CONSTRAINT standings_of_no_user_are_removals CHECK (user_id <> '' OR role IS NULL);

-- +goose Down
DELETE FROM standings s WHERE NOT EXISTS
    (SELECT FROM participants p WHERE p.session_id = s.session_id AND p.identity = s.identity AND s.user_id <> '');
ALTER TABLE standings
    DROP CONSTRAINT standings_session_id_fkey,
    DROP CONSTRAINT standings_identity_check,
    DROP CONSTRAINT standings_of_no_user_are_removals,
    ADD CONSTRAINT standings_user_id_check CHECK (user_id <> ''),
    ADD CONSTRAINT standings_session_id_identity_fkey FOREIGN KEY (session_id, identity) REFERENCES participants ON DELETE CASCADE;
ALTER TABLE tracks DROP COLUMN evidence, DROP COLUMN episode;
ALTER TABLE participants DROP COLUMN evidence, DROP COLUMN ended_sids, DROP COLUMN unanswered, DROP COLUMN grace_denied_at;
ALTER TABLE mappings
    DROP COLUMN room_evidence, DROP COLUMN room_finished_at, DROP COLUMN finished_room_sids, DROP COLUMN look_at,
    DROP COLUMN unattended_since;

-- The version before this one asks at the end of a grace period, and for nothing else.
DELETE FROM windows w WHERE NOT EXISTS
    (SELECT FROM participants p WHERE p.session_id = w.session_id AND p.window_deadline IS NOT NULL);
UPDATE windows w SET ends_at = first.deadline, next_attempt_at = first.deadline, attempts = 0, claim = NULL
    FROM (SELECT session_id, min(window_deadline) AS deadline FROM participants GROUP BY session_id) first
    WHERE first.session_id = w.session_id AND w.ends_at <> first.deadline;
