package portstest

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Lists is the suite of ports.SessionStore's lists. open is called once a test.
func Lists(t *testing.T, open func(t *testing.T) StoreUnderTest) {
	for name, test := range map[string]func(*testing.T, StoreUnderTest){
		"own and member sessions, newest first":            testList,
		"sessions of one moment are in the order of ids":   testListOfOneMoment,
		"pages hold each session once":                     testListPages,
		"what is created meanwhile moves nothing":          testListWhileOthersCreate,
		"only the statuses that are asked for":             testListByStatus,
		"items are whole sessions":                         testListItems,
		"who joins later finds the session where it stood": testListOfALaterMember,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// createAt adds a session that was created after so many seconds, and returns its id.
func createAt(t *testing.T, s StoreUnderTest, seconds int, owner string, members ...string) string {
	t.Helper()
	at := Start.Add(time.Duration(seconds) * time.Second)
	spec := domain.Spec{OwnerID: owner}
	for _, user := range members {
		spec.Members = append(spec.Members, events.Member{UserID: user, Role: events.RoleViewer})
	}
	session, drafts, err := domain.Create(NewID(t), spec, events.Actor{Type: events.ActorUser, ID: owner}, at)
	require.NoError(t, err)
	_, err = s.Store.Create(t.Context(), session, Seal(t, session.ID(), drafts, at))
	require.NoError(t, err)
	return session.ID()
}

// pages reads a whole list; between is called after each page.
func pages(t *testing.T, s StoreUnderTest, request ports.ListRequest, between func()) [][]string {
	t.Helper()
	var all [][]string
	for {
		list, err := s.Store.List(t.Context(), request)
		require.NoError(t, err)
		ids := []string{}
		for _, item := range list.Items {
			ids = append(ids, item.Session.ID())
		}
		all = append(all, ids)
		if list.Next == nil {
			return all
		}
		require.Len(t, ids, request.Limit, "all pages but the last are full")
		request.After = list.Next
		between()
	}
}

func listed(t *testing.T, s StoreUnderTest, user string, statuses ...events.Status) []string {
	t.Helper()
	return slices.Concat(pages(t, s, ports.ListRequest{UserID: user, Statuses: statuses, Limit: 100}, func() {})...)
}

func testList(t *testing.T, s StoreUnderTest) {
	own := createAt(t, s, 2, "alice")
	invited := createAt(t, s, 3, "bob", "alice", "carol")
	oldest := createAt(t, s, 1, "alice", "carol")
	createAt(t, s, 4, "mallory")
	require.Equal(t, []string{invited, own, oldest}, listed(t, s, "alice"))
	require.Equal(t, []string{invited, oldest}, listed(t, s, "carol"))
	require.Empty(t, listed(t, s, "nobody"))
}

func testListOfOneMoment(t *testing.T, s StoreUnderTest) {
	var ids []string
	for range 5 {
		ids = append(ids, createAt(t, s, 1, "alice"))
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	require.Equal(t, [][]string{ids[:2], ids[2:4], ids[4:]}, pages(t, s, ports.ListRequest{UserID: "alice", Limit: 2}, func() {}))
}

func testListPages(t *testing.T, s StoreUnderTest) {
	var ids []string
	for i := range 12 {
		ids = append(ids, createAt(t, s, i, "alice"))
		createAt(t, s, i, "bob")
	}
	slices.Reverse(ids)
	for _, limit := range []int{1, 3, 5, 6, 12, 13} {
		got := pages(t, s, ports.ListRequest{UserID: "alice", Limit: limit}, func() {})
		require.Equal(t, ids, slices.Concat(got...), "pages of %d", limit)
		require.Len(t, got, (len(ids)+limit-1)/limit, "no page is empty")
	}
}

func testListWhileOthersCreate(t *testing.T, s StoreUnderTest) {
	var ids []string
	for i := range 9 {
		ids = append(ids, createAt(t, s, i, "alice"))
	}
	slices.Reverse(ids)
	later := 100
	got := pages(t, s, ports.ListRequest{UserID: "alice", Limit: 2}, func() {
		later++
		createAt(t, s, later, "alice")
	})
	require.Equal(t, ids, slices.Concat(got...))
	require.Len(t, listed(t, s, "alice"), later-100+len(ids))
}

func testListByStatus(t *testing.T, s StoreUnderTest) {
	byStatus := map[events.Status][]string{}
	for i := range 12 {
		id := createAt(t, s, i, "alice")
		status := events.StatusCreated
		if i%4 > 0 {
			mustTake(t, s, domain.Append, Fact(t, id, NewID(t), Connected(id, "alice")))
			status = events.StatusActive
		}
		switch i % 4 {
		case 2:
			mustTake(t, s, domain.Append, Fact(t, id, NewID(t), events.CallDisconnectedPayload{ProviderRoom: Room(id), Reason: events.DisconnectCompleted}))
			status = events.StatusEnded
		case 3:
			mustTake(t, s, domain.Append, Fact(t, id, NewID(t), events.CallDisconnectedPayload{ProviderRoom: Room(id), Reason: events.DisconnectProviderFailure}))
			status = events.StatusFailed
		}
		byStatus[status] = append([]string{id}, byStatus[status]...)
	}
	for status, ids := range byStatus {
		require.Equal(t, ids, listed(t, s, "alice", status), "%s", status)
	}
	require.Empty(t, listed(t, s, "alice", events.StatusReconnecting))
	live := pages(t, s, ports.ListRequest{UserID: "alice", Statuses: []events.Status{events.StatusActive, events.StatusCreated}, Limit: 4}, func() {})
	created, active := byStatus[events.StatusCreated], byStatus[events.StatusActive]
	require.Equal(t, [][]string{{active[0], created[0], active[1], created[1]}, {active[2], created[2]}}, live)
	mixed := listed(t, s, "alice", events.StatusFailed, events.StatusCreated, events.StatusFailed)
	require.ElementsMatch(t, slices.Concat(byStatus[events.StatusFailed], created), mixed)
	require.Len(t, listed(t, s, "alice", events.StatusCreated, events.StatusActive, events.StatusReconnecting, events.StatusEnded, events.StatusFailed), 12)
}

func testListItems(t *testing.T, s StoreUnderTest) {
	ended, _ := aCall(t, s)
	fresh := created(t, s).Session.ID()
	list, err := s.Store.List(t.Context(), ports.ListRequest{UserID: "bob", Limit: 10})
	require.NoError(t, err)
	require.Len(t, list.Items, 2)
	require.Nil(t, list.Next)
	for _, item := range list.Items {
		require.Contains(t, []string{ended, fresh}, item.Session.ID())
		view, err := s.Store.Get(t.Context(), viewerOf("bob"), item.Session.ID())
		require.NoError(t, err)
		equalSessions(t, view.Session, item.Session)
		require.Equal(t, view.LastEventID, item.LastEventID)
	}
}

func testListOfALaterMember(t *testing.T, s StoreUnderTest) {
	first, second := createAt(t, s, 1, "alice"), createAt(t, s, 2, "alice")
	third := createAt(t, s, 3, "alice", "bob")
	for _, id := range []string{second, first} {
		_, err := s.Store.Update(t.Context(), ports.System(), id, func(session *domain.Session) ([]ports.Entry, error) {
			at := Start.Add(time.Hour)
			change, err := session.SetMember(domain.Principal{UserID: "alice"}, events.Member{UserID: "bob", Role: events.RoleViewer}, at)
			return Seal(t, id, change.Drafts, at), err
		})
		require.NoError(t, err)
	}
	require.Equal(t, []string{third, second, first}, listed(t, s, "bob"), "by when the sessions were created")
}
