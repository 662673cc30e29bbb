package memory_test

import (
	"testing"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/adapters/memory"
	"github.com/callplane/callplane/services/bridge/internal/ports/portstest"
)

func open(*testing.T) portstest.Store {
	s := memory.NewStore(time.Now)
	return portstest.Store{Mappings: s, Reader: s, Old: s, Deletions: s, Enforcements: s, Windows: s, Turns: s, Surveys: s, Published: func(_ testing.TB, sessionID string) []string {
		var ids []string
		for _, e := range s.Events() {
			if e.SessionID == sessionID {
				ids = append(ids, e.EventID)
			}
		}
		return ids
	}}
}

func TestMappings(t *testing.T)       { portstest.Mappings(t, open) }
func TestRoomDeletions(t *testing.T)  { portstest.RoomDeletions(t, open) }
func TestEnforcements(t *testing.T)   { portstest.Enforcements(t, open) }
func TestWindows(t *testing.T)        { portstest.Windows(t, open) }
func TestReconciliation(t *testing.T) { portstest.Reconciliation(t, open) }
