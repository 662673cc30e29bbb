//go:build integration

package postgres_test

import (
	"testing"

	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestJournal(t *testing.T) {
	portstest.Journal(t, func(t *testing.T) portstest.JournalUnderTest {
		url, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
		store := postgres.NewStore(connect(t, url), "call.events", func(...string) {})
		return portstest.JournalUnderTest{StoreUnderTest: portstest.StoreUnderTest{Store: store}, Journal: store, Follow: store.Follow}
	})
}
