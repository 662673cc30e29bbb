package memory_test

import (
	"testing"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/adapters/memory"
	"github.com/callplane/callplane/services/bridge/internal/ports/portstest"
)

func open(*testing.T) portstest.Store {
	s := memory.NewStore(time.Now)
	return portstest.Store{
		Mappings: s, Reader: s, Old: s, Deletions: s, PermissionSyncs: s, RoomChecks: s, ReconcileLease: s, MappingSurvey: s,
		Published: func(_ testing.TB, sessionID string) []string {
			var ids []string
			for _, e := range s.Events() {
				if e.SessionID == sessionID {
					ids = append(ids, e.EventID)
				}
			}
			return ids
		},
	}
}

func TestMappings(t *testing.T)        { portstest.Mappings(t, open) }
func TestRoomDeletions(t *testing.T)   { portstest.RoomDeletions(t, open) }
func TestPermissionSyncs(t *testing.T) { portstest.PermissionSyncs(t, open) }
func TestRoomChecks(t *testing.T)      { portstest.RoomChecks(t, open) }
func TestReconciliation(t *testing.T)  { portstest.Reconciliation(t, open) }
