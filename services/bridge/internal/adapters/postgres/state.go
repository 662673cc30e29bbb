package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// aggregateStatement reads mappings m with their members, participants and tracks, in JSON and each
// part by its primary key.
const aggregateStatement = `SELECT to_json(m) AS mapping,
		(SELECT json_agg(x) FROM members x WHERE x.session_id = m.session_id) AS members,
		(SELECT json_agg(x) FROM participants x WHERE x.session_id = m.session_id) AS participants,
		(SELECT json_agg(x) FROM tracks x WHERE x.session_id = m.session_id) AS tracks
	FROM mappings m`

// aggregateRow is a mapping with its members, participants and tracks; a part without rows is nil.
type aggregateRow struct {
	Mapping      []byte `gorm:"column:mapping"`
	Members      []byte `gorm:"column:members"`
	Participants []byte `gorm:"column:participants"`
	Tracks       []byte `gorm:"column:tracks"`
}

func (a aggregateRow) state() (domain.State, error) {
	s, err := a.stored()
	return s.state, err
}

func (a aggregateRow) stored() (storedMapping, error) {
	var mapping mappingRow
	var memberRows []memberRow
	var participantRows []participantRow
	var trackRows []trackRow
	for _, part := range []struct {
		text []byte
		into any
	}{{a.Mapping, &mapping}, {a.Members, &memberRows}, {a.Participants, &participantRows}, {a.Tracks, &trackRows}} {
		if part.text == nil {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return storedMapping{}, fmt.Errorf("reading a mapping: %w", err)
		}
	}
	s := mapping.state()
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
	return storedMapping{state: s, version: version{revision: mapping.Revision, at: mapping.UpdatedAt.UnixMicro()}}, nil
}

// save writes the rows that differ.
func save(tx *gorm.DB, before, after domain.State, v version) error {
	row := toMappingRow(after)
	row.UpdatedAt = time.UnixMicro(v.at).UTC()
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
	return scheduleCheck(tx, before, after)
}

// difference lists the rows that a change touches.
type difference struct {
	members      []memberRow
	participants []participantRow
	tracks       []trackRow
	forgotten    map[string][]string // sids of tracks by identity
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
		a.SID == b.SID && a.JoinedAt.Equal(b.JoinedAt) && a.Evidence == b.Evidence && slices.Equal(a.Ended, b.Ended) &&
		a.Unanswered == b.Unanswered && a.Episode == b.Episode && a.StaleToken == b.StaleToken && sameGrace(a.Grace, b.Grace)
}

func sameGrace(a, b domain.GracePeriod) bool {
	return a.Reason == b.Reason && a.Leave == b.Leave && a.Evidence == b.Evidence &&
		a.Since.Equal(b.Since) && a.Deadline.Equal(b.Deadline) && a.DeniedAt.Equal(b.DeniedAt)
}
