//go:build integration

package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	listedSessions = 20_000 // of one user, who is in no other's
	allSessions    = 40_000
	openEvery      = 500 // one session of so many goes on, the others have ended
)

const listSeed = `
WITH new AS (
	INSERT INTO sessions (id, owner_id, status, kind, provider, metadata, version, created_at, updated_at, ended_at, last_seq, last_event_id)
	SELECT gen_random_uuid(), CASE WHEN n <= CAST(@listed AS int) THEN 'busy' ELSE 'user' || n % 1000 END, CASE WHEN n % CAST(@every AS int) = 0 THEN 'created' ELSE 'ended' END,
	       'video', 'livekit', '{}', 1, at, at, CASE WHEN n % CAST(@every AS int) = 0 THEN NULL ELSE at END, 1, gen_random_uuid()
	  FROM generate_series(1, CAST(@sessions AS int)) n, LATERAL (SELECT timestamptz '2026-05-01' + n * interval '1 minute') t (at)
	RETURNING id, owner_id, created_at, ended_at
), p AS (
	INSERT INTO participants SELECT id, owner_id || '#default', owner_id, 'present', now(), '[]' FROM new
)
INSERT INTO members (session_id, user_id, role, session_created_at, session_open) SELECT id, owner_id, 'host', created_at, ended_at IS NULL FROM new`

// plan is what EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) tells of a step and those under it.
type plan struct {
	Node  string `json:"Node Type"`
	Index string `json:"Index Name"`
	Hit   int    `json:"Shared Hit Blocks"`
	Read  int    `json:"Shared Read Blocks"`
	Plans []plan `json:"Plans"`
}

func (p plan) walk(visit func(plan)) {
	visit(p)
	for _, under := range p.Plans {
		under.walk(visit)
	}
}

func explain(t *testing.T, db *gorm.DB, request ports.ListRequest) (whole plan, pages int) {
	t.Helper()
	statement, args := listStatement(request)
	var text string
	require.NoError(t, db.Raw("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+statement, args).Scan(&text).Error)
	var plans []struct{ Plan plan }
	require.NoError(t, json.Unmarshal([]byte(text), &plans), text)
	return plans[0].Plan, plans[0].Plan.Hit + plans[0].Plan.Read
}

// TestAListsPageCostsTheSameAtAnyDepth: each page is read by the index of the user's sessions, in its order, and touches as many pages of the
// database at the end of a long list as at its beginning.
func TestAListsPageCostsTheSameAtAnyDepth(t *testing.T) {
	db := filled(t, listSeed, map[string]any{"listed": listedSessions, "sessions": allSessions, "every": openEvery})
	positions := map[string]*ports.Position{"the first page": nil}
	for _, depth := range []int{listedSessions / 2, listedSessions - 100} {
		var at sessionRow
		require.NoError(t, db.Where("owner_id = 'busy'").Order("created_at DESC").Offset(depth).Take(&at).Error)
		positions[fmt.Sprint("after ", depth)] = &ports.Position{CreatedAt: at.CreatedAt, SessionID: at.ID}
	}
	const limit = 50
	for filter, test := range map[string]struct {
		statuses []events.Status
		index    string
		depths   map[string]*ports.Position
	}{
		"all":          {nil, "members_list", positions},
		"most":         {[]events.Status{events.StatusEnded}, "members_list", positions},
		"the open few": {[]events.Status{events.StatusActive, events.StatusCreated}, "members_list_open", map[string]*ports.Position{"the first page": nil}},
	} {
		var costs []int
		for name, after := range test.depths {
			request := ports.ListRequest{UserID: "busy", Statuses: test.statuses, After: after, Limit: limit}
			whole, touched := explain(t, db, request)
			indexes := map[string]bool{}
			whole.walk(func(p plan) {
				require.NotEqual(t, "Seq Scan", p.Node, "%s, %s", filter, name)
				indexes[p.Index] = true
			})
			require.True(t, indexes[test.index], "%s, %s: %v", filter, name, indexes)
			// A session: its row, its members and participants, each through an index of a few levels.
			require.Less(t, touched, limit*15, "%s, %s", filter, name)
			t.Logf("%s, %s: %d pages", filter, name, touched)
			costs = append(costs, touched)
		}
		require.LessOrEqual(t, slices.Max(costs)*10, slices.Min(costs)*12, "%s: %v", filter, costs)
	}
}
