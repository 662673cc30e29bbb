package domain

// Learn returns the mapping with what a session's event tells of its version and of members. What
// is older than what is known of a member changes nothing about them.
func (m Mapping) Learn(sessionVersion int64, members ...Member) Mapping {
	s := m.s.clone()
	changed := s.seeVersion(sessionVersion)
	for _, member := range members {
		changed = s.learn(member) || changed
	}
	if !changed {
		return m
	}
	s.Revision++
	return Mapping{s: s}
}

// Finalize returns the mapping of a session that ended or failed, and whether its room must be
// deleted, which is wherever one may exist.
func (m Mapping) Finalize(sessionVersion int64) (final Mapping, deleteRoom bool) {
	s := m.s.clone()
	changed := s.seeVersion(sessionVersion)
	first := !s.Final
	s.Final = true
	if changed || first {
		s.Revision++
	}
	return Mapping{s: s}, first && (len(s.Participants) > 0 || s.Room.SID != "")
}

func (s *State) learn(member Member) bool {
	changed := s.seeVersion(member.Version)
	known, exists := s.Members[member.UserID]
	if exists && known.Version >= member.Version {
		return changed
	}
	s.Members[member.UserID] = member
	if exists && (known.Role != member.Role || known.Removed != member.Removed) {
		s.markTokensStale(member.UserID)
	}
	return true
}

func (s *State) seeVersion(v int64) bool {
	if v <= s.SessionVersion {
		return false
	}
	s.SessionVersion = v
	return true
}
