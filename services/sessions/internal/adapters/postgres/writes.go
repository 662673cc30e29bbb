package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/outbox"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// A change is one statement: one message to the server, however much changes. Its parts see the database as it was before, and no two of
// them may touch the same row; foreign keys are checked when all are done (PostgreSQL, 7.8.4 and 5.5.5).
const (
	insertStatement = `WITH session AS (` + insertSession + `), ` + insertRest
	saveStatement   = `WITH session AS (` + updateSession + `), ` + insertRest
	// saveFoundStatement does what most events do where the session is still as it was found, and otherwise nothing. As each part reads what
	// was changed of the session, it runs with the session's row locked.
	saveFoundStatement = `WITH session AS (` + updateSession + ` AND last_seq = @found_seq AND last_event_id = @found_event_id RETURNING id), ` +
		`changed_participants AS (` + insertParticipants + `, session` + updateParticipants + `)` + insertEvents + `, session` + returnEvents
)

const insertSession = `
INSERT INTO sessions (id, owner_id, status, title, kind, provider, provider_room_id, provider_participant_id, provider_call_id, metadata,
                      version, created_at, updated_at, started_at, ended_at, end_reason, error_code, error_message, disconnected,
                      last_seq, last_event_id)
VALUES (@id, @owner_id, @status, @title, @kind, @provider, @provider_room_id, @provider_participant_id, @provider_call_id, @metadata,
        @version, @created_at, @updated_at, @started_at, @ended_at, @end_reason, @error_code, @error_message, @disconnected,
        @last_seq, @last_event_id)`

const updateSession = `
UPDATE sessions
   SET owner_id = @owner_id, status = @status, title = @title, kind = @kind, provider = @provider, provider_room_id = @provider_room_id,
       provider_participant_id = @provider_participant_id, provider_call_id = @provider_call_id, metadata = @metadata, version = @version,
       updated_at = @updated_at, started_at = @started_at, ended_at = @ended_at, end_reason = @end_reason, error_code = @error_code,
       error_message = @error_message, disconnected = @disconnected, last_seq = @last_seq, last_event_id = @last_event_id
 WHERE id = @id`

// insertRest writes what hangs on a session and changed, appends to its log, and returns what the database adds to that.
const insertRest = `changed_members AS (
	INSERT INTO members (session_id, user_id, role, session_created_at, since_seq)
	SELECT CAST(@id AS uuid), m.user_id, m.role, CAST(@created_at AS timestamptz), m.since_seq
	  FROM unnest(CAST(@member_users AS text[]), CAST(@member_roles AS text[]), CAST(@member_since AS bigint[])) AS m (user_id, role, since_seq)
	    ON CONFLICT (session_id, user_id) DO UPDATE SET role = excluded.role
), changed_participants AS (` + insertParticipants + updateParticipants + `), queued AS (
	` + outbox.InsertSQL + `
)` + insertEvents + returnEvents

const (
	insertParticipants = `
	INSERT INTO participants (session_id, identity, user_id, presence, joined_at, open_tracks)
	SELECT CAST(@id AS uuid), p.identity, p.user_id, p.presence, p.joined_at, CAST(p.open_tracks AS jsonb)
	  FROM unnest(CAST(@participant_identities AS text[]), CAST(@participant_users AS text[]), CAST(@participant_presences AS text[]),
	              CAST(@participant_joined AS timestamptz[]), CAST(@participant_tracks AS text[]))
	       AS p (identity, user_id, presence, joined_at, open_tracks)`
	updateParticipants = `
	    ON CONFLICT (session_id, identity) DO UPDATE
	   SET user_id = excluded.user_id, presence = excluded.presence, joined_at = excluded.joined_at, open_tracks = excluded.open_tracks
`
	insertEvents = `
INSERT INTO events (session_id, seq, event_id, type, digest, envelope, appended_at)
SELECT CAST(@id AS uuid), e.seq, CAST(e.event_id AS uuid), e.type, e.digest, CAST(e.envelope AS json), e.appended_at
  FROM unnest(CAST(@event_seqs AS bigint[]), CAST(@event_ids AS text[]), CAST(@event_types AS text[]), CAST(@event_digests AS bytea[]),
              CAST(@event_envelopes AS text[]), CAST(@event_appended AS timestamptz[]))
       AS e (seq, event_id, type, digest, envelope, appended_at)`
	returnEvents = `
 ORDER BY e.seq
RETURNING seq, logged_at`
)

// change is what is written of a session.
type change struct {
	before, after domain.Snapshot // before is empty for a new session
	lastSeq       int64           // of the log before
	entries       []ports.Entry   // at least one
}

// write queues a change of a locked session, or a new one, with statement.
func (s *Store) write(ctx context.Context, tx *transaction, statement string, c change) error {
	args := pgx.NamedArgs{}
	if err := c.arguments(ctx, s.exchange, args); err != nil {
		return err
	}
	tx.Queue(statement, args).Query(func(rows pgx.Rows) error {
		times := make([]time.Time, len(c.entries))
		for rows.Next() {
			var seq int64
			var at time.Time
			if err := rows.Scan(&seq, &at); err != nil {
				return err
			}
			times[seq-c.lastSeq-1] = at
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return tx.noteAppended(c, times)
	})
	if slices.ContainsFunc(c.entries, func(e ports.Entry) bool { return e.Publish }) {
		tx.publish = append(tx.publish, c.after.ID)
	}
	return nil
}

// arguments puts those of the statements that write all of it into args.
func (c change) arguments(ctx context.Context, exchange string, args map[string]any) error {
	if err := c.mostArguments(args); err != nil {
		return err
	}
	if err := c.members(args); err != nil {
		return err
	}
	return outbox.Arguments(ctx, args, c.messages(exchange)...)
}

// mostArguments puts into args what nearly every change has: the session, who is in the call, and the log.
func (c change) mostArguments(args map[string]any) error {
	newSessionRow(c.after, c.end().seq, c.end().eventID).arguments(args)
	c.events(args)
	return c.participants(args)
}

// end is where the log ends with the change.
func (c change) end() place {
	return place{seq: c.lastSeq + int64(len(c.entries)), eventID: c.entries[len(c.entries)-1].Event.EventID}
}

// members puts those that are new or have another role into args; who is gone is endMemberships' matter.
func (c change) members(args map[string]any) error {
	begin, _, err := ports.MembershipChanges(c.lastSeq, c.entries)
	if err != nil {
		return err
	}
	var users, roles []string
	var since []int64
	for _, m := range c.after.Members {
		if !slices.Contains(c.before.Members, m) {
			users, roles, since = append(users, m.UserID), append(roles, string(m.Role)), append(since, cmp.Or(begin[m.UserID], 1))
		}
	}
	maps.Copy(args, map[string]any{
		"member_users": postgres.Array(users), "member_roles": postgres.Array(roles), "member_since": postgres.Array(since),
	})
	return nil
}

// participants puts those that changed into args; nobody who was in a call is ever taken off its list.
func (c change) participants(args map[string]any) error {
	var identities, users, presences, tracks []string
	var joined []time.Time
	for _, p := range c.after.Participants {
		if slices.ContainsFunc(c.before.Participants, func(b domain.Participant) bool { return sameParticipant(b, p) }) {
			continue
		}
		row, err := newParticipantRow(p)
		if err != nil {
			return err
		}
		identities, users, presences = append(identities, row.Identity), append(users, row.UserID), append(presences, row.Presence)
		joined, tracks = append(joined, row.JoinedAt), append(tracks, string(row.OpenTracks))
	}
	maps.Copy(args, map[string]any{
		"participant_identities": postgres.Array(identities), "participant_users": postgres.Array(users),
		"participant_presences": postgres.Array(presences), "participant_joined": postgres.Array(joined),
		"participant_tracks": postgres.Array(tracks),
	})
	return nil
}

func sameParticipant(a, b domain.Participant) bool {
	return a.Identity == b.Identity && a.UserID == b.UserID && a.Presence == b.Presence && a.JoinedAt.Equal(b.JoinedAt) &&
		slices.Equal(a.OpenTracks, b.OpenTracks)
}

// events puts the entries of the log into args.
func (c change) events(args map[string]any) {
	n := len(c.entries)
	seqs, digests, appended := make([]int64, n), make([][]byte, n), make([]time.Time, n)
	ids, types, envelopes := make([]string, n), make([]string, n), make([]string, n)
	for i, e := range c.entries {
		seqs[i], digests[i], appended[i] = c.lastSeq+int64(i)+1, e.Digest[:], e.AppendedAt
		ids[i], types[i], envelopes[i] = e.Event.EventID, string(e.Event.Type), string(e.JSON)
	}
	maps.Copy(args, map[string]any{
		"event_seqs": postgres.Array(seqs), "event_ids": postgres.Array(ids), "event_types": postgres.Array(types),
		"event_digests": postgres.Array(digests), "event_envelopes": postgres.Array(envelopes), "event_appended": postgres.Array(appended),
	})
}

// messages are the entries that begin here.
func (c change) messages(exchange string) []outbox.Row {
	var publish []outbox.Row
	for _, e := range c.entries {
		if e.Publish {
			publish = append(publish, outbox.Row{
				PartitionKey: c.after.ID, Exchange: exchange, RoutingKey: string(e.Event.Type), MessageID: e.Event.EventID,
				Headers: map[string]string{topology.HeaderSessionID: c.after.ID}, Body: e.JSON,
			})
		}
	}
	return publish
}

// endMembership removes a member, and keeps what they may still follow.
const endMembership = `
WITH gone AS (
    DELETE FROM members WHERE session_id = ? AND user_id = ? RETURNING session_id, user_id, since_seq
)
INSERT INTO former_members (session_id, user_id, since_seq, until_seq) SELECT session_id, user_id, since_seq, ? FROM gone`

// endMemberships removes who is a member no more.
func (c change) endMemberships(tx *gorm.DB) error {
	_, end, err := ports.MembershipChanges(c.lastSeq, c.entries)
	if err != nil {
		return err
	}
	for _, m := range c.before.Members {
		if slices.ContainsFunc(c.after.Members, func(a events.Member) bool { return a.UserID == m.UserID }) {
			continue
		}
		if err := tx.Exec(endMembership, c.after.ID, m.UserID, end[m.UserID]).Error; err != nil {
			return err
		}
	}
	return nil
}
