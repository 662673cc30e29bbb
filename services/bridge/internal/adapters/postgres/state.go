package postgres

import (
	"encoding/json"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// load reads what hangs on a locked mapping, in one statement of its own: one that also waited for the
// lock would see the other tables as they were before.
func load(tx *gorm.DB, row mappingRow) (domain.State, error) {
	s := row.state()
	var members, participants, tracks []byte
	err := tx.Raw(`SELECT
		(SELECT json_agg(m) FROM members m WHERE m.session_id = ?),
		(SELECT json_agg(p) FROM participants p WHERE p.session_id = ?),
		(SELECT json_agg(t) FROM tracks t WHERE t.session_id = ?)`, s.SessionID, s.SessionID, s.SessionID).
		Row().Scan(&members, &participants, &tracks)
	if err != nil {
		return s, fmt.Errorf("reading a mapping: %w", err)
	}
	return assemble(s, members, participants, tracks)
}

// assemble puts into a state what hangs on it, each a list in JSON, or nil.
func assemble(s domain.State, members, participants, tracks []byte) (domain.State, error) {
	var memberRows []memberRow
	var participantRows []participantRow
	var trackRows []trackRow
	for _, list := range []struct {
		text []byte
		into any
	}{{members, &memberRows}, {participants, &participantRows}, {tracks, &trackRows}} {
		if list.text == nil {
			continue
		}
		if err := json.Unmarshal(list.text, list.into); err != nil {
			return s, fmt.Errorf("reading a mapping: %w", err)
		}
	}
	for _, r := range memberRows {
		s.Members[r.UserID] = r.member()
	}
	for _, r := range participantRows {
		s.Participants[r.Identity] = r.participant()
	}
	for _, r := range trackRows {
		p := s.Participants[r.Identity]
		if p.Tracks == nil {
			p.Tracks = map[string]domain.Track{}
		}
		p.Tracks[r.TrackSID] = r.track()
		s.Participants[r.Identity] = p
	}
	return s, nil
}

// save writes what differs.
func save(tx *gorm.DB, before, after domain.State) error {
	row := toMappingRow(after)
	updated := tx.Model(&row).Select("*").Omit("session_id", "room_name").Updates(&row)
	if updated.Error != nil {
		return fmt.Errorf("storing a mapping: %w", updated.Error)
	}
	d := differences(before, after)
	for _, rows := range []struct {
		some bool
		list any
	}{{len(d.members) > 0, &d.members}, {len(d.participants) > 0, &d.participants}, {len(d.tracks) > 0, &d.tracks}} {
		if !rows.some {
			continue
		}
		if err := tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(rows.list).Error; err != nil {
			return fmt.Errorf("storing what belongs to a mapping: %w", err)
		}
	}
	for identity, sids := range d.forgotten {
		err := tx.Where("session_id = ? AND identity = ? AND track_sid IN ?", after.SessionID, identity, sids).Delete(&trackRow{}).Error
		if err != nil {
			return fmt.Errorf("forgetting the tracks of a connection: %w", err)
		}
	}
	return keepWindow(tx, before, after)
}

// difference is what rows a change touches.
type difference struct {
	members      []memberRow
	participants []participantRow
	tracks       []trackRow
	forgotten    map[string][]string // sids of tracks by the identity whose they were
}

func differences(before, after domain.State) difference {
	d := difference{forgotten: map[string][]string{}}
	for id, m := range after.Members {
		if before.Members[id] != m {
			d.members = append(d.members, toMemberRow(after.SessionID, m))
		}
	}
	for identity, p := range after.Participants {
		was, known := before.Participants[identity]
		is := p
		was.Tracks, is.Tracks = nil, nil
		if row := toParticipantRow(after.SessionID, is); !known || !sameParticipant(was, is) {
			d.participants = append(d.participants, row)
		}
		old := before.Participants[identity].Tracks
		for sid := range old {
			if _, kept := p.Tracks[sid]; !kept {
				d.forgotten[identity] = append(d.forgotten[identity], sid)
			}
		}
		for sid, t := range p.Tracks {
			if stored, there := old[sid]; !there || stored != t {
				d.tracks = append(d.tracks, toTrackRow(after.SessionID, identity, t))
			}
		}
	}
	return d
}

func sameParticipant(a, b domain.Participant) bool {
	return a.Identity == b.Identity && a.UserID == b.UserID && a.DeviceID == b.DeviceID && a.Presence == b.Presence &&
		a.SID == b.SID && a.JoinedAt.Equal(b.JoinedAt) && a.Episode == b.Episode &&
		a.Outdated == b.Outdated && sameWindow(a.Window, b.Window)
}

func sameWindow(a, b domain.Window) bool {
	return a.Reason == b.Reason && a.Parting == b.Parting && a.Told == b.Told && a.Since.Equal(b.Since) && a.Deadline.Equal(b.Deadline)
}
