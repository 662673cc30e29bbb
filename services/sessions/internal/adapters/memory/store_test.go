package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSessionStore(t *testing.T) {
	portstest.SessionStore(t, func(*testing.T) portstest.StoreUnderTest {
		store := memory.NewStore()
		return portstest.StoreUnderTest{
			Store: store, Outbox: store.Outbox, Quarantine: store.Quarantine, Memberships: store.Memberships, LoggedAt: store.LoggedAt,
		}
	})
}

func TestCheckpoints(t *testing.T) {
	portstest.Checkpoints(t, func(*testing.T) (portstest.StoreUnderTest, ports.Checkpoints) {
		store := memory.NewStore()
		return portstest.StoreUnderTest{Store: store}, store
	})
}

func TestAudit(t *testing.T) {
	portstest.Audit(t, func(*testing.T) portstest.AuditUnderTest {
		store := memory.NewStore()
		audit := memory.Audit{Store: store}
		return portstest.AuditUnderTest{StoreUnderTest: portstest.StoreUnderTest{Store: store}, Audit: audit, SetsAside: audit}
	})
}

func TestIdempotencyStore(t *testing.T) {
	portstest.IdempotencyStore(t, func(*testing.T) portstest.KeyedUnderTest {
		store := memory.NewStore()
		return portstest.KeyedUnderTest{
			StoreUnderTest: portstest.StoreUnderTest{Store: store, Outbox: store.Outbox, Quarantine: store.Quarantine}, Keys: store,
		}
	})
}

func TestLists(t *testing.T) {
	portstest.Lists(t, func(*testing.T) portstest.StoreUnderTest {
		store := memory.NewStore()
		return portstest.StoreUnderTest{Store: store, Outbox: store.Outbox, Quarantine: store.Quarantine}
	})
}

func TestJournal(t *testing.T) {
	portstest.Journal(t, func(*testing.T) portstest.JournalUnderTest {
		store := memory.NewStore()
		return portstest.JournalUnderTest{StoreUnderTest: portstest.StoreUnderTest{Store: store}, Journal: store, Follow: store.Follow}
	})
}
