package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// verifyBatch is how many sessions are looked up at once.
const verifyBatch = 200

// VerifySessions replays the logs of sessions and compares the outcome with their stored state.
type VerifySessions struct {
	Audit    ports.Audit
	Differs  func(sessionID string, found []domain.Difference) // told of each session that is not as its log says
	Progress func(verified int)                                // told after each session how many there were
}

// Verified is how many sessions were verified, and how many of them differ.
type Verified struct{ Sessions, Differing int }

// All verifies every session that is there when its turn comes.
func (uc VerifySessions) All(ctx context.Context) (Verified, error) {
	var total Verified
	after := ""
	for {
		ids, err := uc.Audit.SessionIDs(ctx, after, verifyBatch)
		if err != nil {
			return total, fmt.Errorf("verifying sessions: %w", err)
		}
		for _, id := range ids {
			err := uc.verify(ctx, id, &total)
			if err != nil && !errors.Is(err, domain.ErrNotFound) { // it may have been deleted meanwhile
				return total, err
			}
		}
		if len(ids) < verifyBatch {
			return total, nil
		}
		after = ids[len(ids)-1]
	}
}

// One verifies one session, or returns domain.ErrNotFound.
func (uc VerifySessions) One(ctx context.Context, id string) (Verified, error) {
	var total Verified
	err := uc.verify(ctx, id, &total)
	return total, err
}

func (uc VerifySessions) verify(ctx context.Context, id string, total *Verified) error {
	var found []domain.Difference
	err := uc.Audit.Examine(ctx, id, func(examined ports.Examined) error {
		var err error
		found, err = compareWithLog(examined)
		return err
	})
	if err != nil {
		return fmt.Errorf("verifying session %s: %w", id, err)
	}
	total.Sessions++
	if len(found) > 0 {
		total.Differing++
		uc.Differs(id, found)
	}
	uc.Progress(total.Sessions)
	return nil
}

// compareWithLog goes through the log once and keeps none of it. Its error is one of reading.
func compareWithLog(examined ports.Examined) ([]domain.Difference, error) {
	var found []domain.Difference
	var replayer domain.Replayer
	var broken bool
	var seq int64
	lastID := ""
	for row, err := range examined.Log {
		if err != nil {
			return nil, err
		}
		if row.Seq != seq+1 {
			found = append(found, domain.Difference{
				Field: "log", Stored: fmt.Sprintf("event %d comes after event %d", row.Seq, seq), Logged: fmt.Sprintf("event %d", seq+1),
			})
		}
		seq, lastID = row.Seq, row.EventID
		envelope, wrong := readRow(examined.Stored.ID, row)
		found = append(found, wrong...)
		if broken {
			continue
		}
		if err := replayer.Add(domain.Logged{Envelope: envelope, AppendedAt: row.AppendedAt}); err != nil {
			broken = true
			found = append(found, domain.Difference{Field: fmt.Sprintf("event %d", row.Seq), Stored: "it can't be replayed", Logged: err.Error()})
		}
	}
	if seq != examined.LastSeq || lastID != examined.LastEventID {
		found = append(found, domain.Difference{
			Field: "lastEventId", Stored: fmt.Sprintf("%s (event %d)", examined.LastEventID, examined.LastSeq), Logged: fmt.Sprintf("%s (event %d)", lastID, seq),
		})
	}
	if broken {
		return found, nil
	}
	replayed, err := replayer.Snapshot()
	if err != nil { // the log is empty
		return append(found, domain.Difference{Field: "log", Stored: "no events", Logged: err.Error()}), nil
	}
	return append(found, domain.Differences(examined.Stored, replayed)...), nil
}

// readRow reads a row's envelope, and says where the row is not what was appended.
func readRow(sessionID string, row ports.LogRow) (envelope events.Envelope, wrong []domain.Difference) {
	differs := func(stored, logged string) {
		wrong = append(wrong, domain.Difference{Field: fmt.Sprintf("event %d", row.Seq), Stored: stored, Logged: logged})
	}
	if err := json.Unmarshal(row.JSON, &envelope); err != nil {
		differs("its envelope can't be read", err.Error())
		return envelope, wrong
	}
	if digest, err := events.DigestOf(row.JSON); err != nil || digest != row.Digest {
		differs("its envelope was changed", "another digest")
	}
	if envelope.EventID != row.EventID || envelope.SessionID != sessionID || envelope.Type != row.Type {
		differs(fmt.Sprintf("%s %s of session %s", row.Type, row.EventID, sessionID),
			fmt.Sprintf("%s %s of session %s", envelope.Type, envelope.EventID, envelope.SessionID))
	}
	return envelope, wrong
}
