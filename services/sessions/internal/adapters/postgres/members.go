package postgres

import (
	"cmp"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// endMembership removes a member, and keeps what they may still follow.
const endMembership = `
WITH gone AS (
    DELETE FROM members WHERE session_id = ? AND user_id = ? RETURNING session_id, user_id, since_seq
)
INSERT INTO former_members (session_id, user_id, since_seq, until_seq) SELECT session_id, user_id, since_seq, ? FROM gone`

// saveMembers writes who came, changed and went, with the entries that say so; they follow the event lastSeq of the log.
func saveMembers(tx *gorm.DB, before []events.Member, after domain.Snapshot, lastSeq int64, entries []ports.Entry) error {
	begin, end, err := ports.MembershipChanges(lastSeq, entries)
	if err != nil {
		return err
	}
	var changed []memberRow
	for _, m := range after.Members {
		if !slices.Contains(before, m) {
			changed = append(changed, newMemberRow(after, m, cmp.Or(begin[m.UserID], 1)))
		}
	}
	for _, m := range before {
		gone := !slices.ContainsFunc(after.Members, func(a events.Member) bool { return a.UserID == m.UserID })
		if !gone {
			continue
		}
		if err := tx.Exec(endMembership, after.ID, m.UserID, end[m.UserID]).Error; err != nil {
			return err
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "session_id"}, {Name: "user_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"role"}),
	}).Create(&changed).Error
}
