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

// JournalUnderTest is the journal of an empty store.
type JournalUnderTest struct {
	StoreUnderTest
	Journal ports.Journal
	Follow  func(added func(ports.Appended)) // called before the store is used
}

// Journal is the suite of ports.Journal, and of what a store tells of its commits. open is called once a test.
func Journal(t *testing.T, open func(t *testing.T) JournalUnderTest) {
	for name, test := range map[string]func(*testing.T, JournalUnderTest){
		"a log is read from a place on":                       testJournalRead,
		"a place is found by an event's id":                   testJournalLocate,
		"the ends of logs are those of sessions that exist":   testJournalEnds,
		"a user reads what they were a member for":            testJournalReadUser,
		"a user reads on from any moment":                     testJournalReadUserFromAnyMoment,
		"a user's pages go on behind what was seen":           testJournalPages,
		"what commits add is told as it is read":              testJournalTells,
		"a change that fails and one of nothing tell nothing": testJournalTellsNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// entriesOf reads a whole log.
func entriesOf(t *testing.T, j JournalUnderTest, id string) []ports.Logged {
	t.Helper()
	entries, err := j.Journal.Read(t.Context(), id, 0, 1000)
	require.NoError(t, err)
	return entries
}

func testJournalRead(t *testing.T, j JournalUnderTest) {
	before, err := j.Journal.Now(t.Context())
	require.NoError(t, err)
	id := created(t, j.StoreUnderTest).Session.ID()
	setMember(t, j.StoreUnderTest, id, "carol", events.RoleViewer)
	removeMember(t, j.StoreUnderTest, id, "carol")
	after, err := j.Journal.Now(t.Context())
	require.NoError(t, err)
	entries := entriesOf(t, j, id)
	require.Len(t, entries, 3)
	for i, want := range []events.Type{events.CallCreated, events.CallMemberAdded, events.CallMemberRemoved} {
		entry := entries[i]
		require.Equal(t, int64(i+1), entry.Seq)
		require.Equal(t, want, entry.Type)
		require.Contains(t, string(entry.JSON), entry.EventID)
		require.False(t, entry.LoggedAt.Before(before) || entry.LoggedAt.After(after), "%s is not in %s to %s", entry.LoggedAt, before, after)
	}
	require.Equal(t, []string{"", "", "carol"}, []string{entries[0].Member, entries[1].Member, entries[2].Member})
	for after, want := range [][]ports.Logged{entries[:2], entries[1:], entries[2:], nil} {
		got, err := j.Journal.Read(t.Context(), id, int64(after), 2)
		require.NoError(t, err)
		require.ElementsMatch(t, want, got)
	}
	require.Empty(t, entriesOf(t, j, NewID(t)))
}

func testJournalLocate(t *testing.T, j JournalUnderTest) {
	id := created(t, j.StoreUnderTest).Session.ID()
	setMember(t, j.StoreUnderTest, id, "carol", events.RoleViewer)
	entries := entriesOf(t, j, id)
	for after, want := range map[string]ports.Place{"": {Last: 2}, entries[0].EventID: {Seq: 1, Last: 2}, entries[1].EventID: {Seq: 2, Last: 2}} {
		place, err := j.Journal.Locate(t.Context(), viewerOf("bob"), id, after)
		require.NoError(t, err)
		require.Equal(t, want, place)
	}
	_, err := j.Journal.Locate(t.Context(), viewerOf("bob"), id, NewID(t))
	var gone *ports.WatermarkGoneError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, entries[0].EventID, gone.Earliest)
	_, err = j.Journal.Locate(t.Context(), viewerOf("mallory"), id, "")
	require.ErrorIs(t, err, domain.ErrNotFound)
	_, err = j.Journal.Locate(t.Context(), ports.System(), NewID(t), "")
	require.ErrorIs(t, err, domain.ErrNotFound)
}

func testJournalEnds(t *testing.T, j JournalUnderTest) {
	first, second := created(t, j.StoreUnderTest).Session.ID(), created(t, j.StoreUnderTest).Session.ID()
	setMember(t, j.StoreUnderTest, second, "carol", events.RoleViewer)
	ends, err := j.Journal.Ends(t.Context(), []string{first, NewID(t), second})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{first: 1, second: 2}, ends)
}

// membershipsOfCarol has carol come and go twice in one session, and is another she never sees.
func membershipsOfCarol(t *testing.T, j JournalUnderTest) (id string) {
	t.Helper()
	id = created(t, j.StoreUnderTest).Session.ID()
	_ = created(t, j.StoreUnderTest)
	setMember(t, j.StoreUnderTest, id, "carol", events.RoleViewer)      // 2
	setMember(t, j.StoreUnderTest, id, "carol", events.RoleParticipant) // 3
	removeMember(t, j.StoreUnderTest, id, "carol")                      // 4
	setMember(t, j.StoreUnderTest, id, "dave", events.RoleViewer)       // 5
	setMember(t, j.StoreUnderTest, id, "carol", events.RoleViewer)      // 6
	removeMember(t, j.StoreUnderTest, id, "carol")                      // 7
	removeMember(t, j.StoreUnderTest, id, "dave")                       // 8
	return id
}

func testJournalReadUser(t *testing.T, j JournalUnderTest) {
	since, err := j.Journal.Now(t.Context())
	require.NoError(t, err)
	id := membershipsOfCarol(t, j)
	page, err := j.Journal.ReadUser(t.Context(), ports.UserRequest{UserID: "carol", Since: since, Limit: 100})
	require.NoError(t, err)
	require.False(t, page.More)
	require.Equal(t, []int64{2, 3, 4, 6, 7}, seqsOf(page.Items))
	entries := entriesOf(t, j, id)
	for _, item := range page.Items {
		require.Equal(t, ports.UserEntry{SessionID: id, Logged: entries[item.Seq-1]}, item)
		require.False(t, page.AsOf.Before(item.LoggedAt))
	}
	found, err := j.Journal.UserEnds(t.Context(), []string{"carol", "mallory", "dave"}, since)
	require.NoError(t, err)
	require.Equal(t, map[string]int64{id: 7}, found.Ends["carol"])
	require.Equal(t, map[string]int64{id: 8}, found.Ends["dave"])
	require.Empty(t, found.Ends["mallory"])
	require.False(t, found.AsOf.Before(page.AsOf))
	later, err := j.Journal.ReadUser(t.Context(), ports.UserRequest{UserID: "carol", Since: found.AsOf, Limit: 100})
	require.NoError(t, err)
	require.Empty(t, later.Items, "all of it was logged before")
	nobody, err := j.Journal.ReadUser(t.Context(), ports.UserRequest{UserID: "mallory", Since: since, Limit: 100})
	require.NoError(t, err)
	require.Empty(t, nobody.Items)
}

// testJournalReadUserFromAnyMoment: what is read from directly before an event on begins with it, also where it is the last one of a session, or
// of a membership.
func testJournalReadUserFromAnyMoment(t *testing.T, j JournalUnderTest) {
	since, err := j.Journal.Now(t.Context())
	require.NoError(t, err)
	membershipsOfCarol(t, j)
	for _, user := range []string{"alice", "carol"} {
		all, err := j.Journal.ReadUser(t.Context(), ports.UserRequest{UserID: user, Since: since, Limit: 100})
		require.NoError(t, err)
		for i, item := range all.Items {
			for before, want := range map[time.Duration][]ports.UserEntry{0: all.Items[i+1:], time.Microsecond: all.Items[i:]} {
				page, err := j.Journal.ReadUser(t.Context(), ports.UserRequest{UserID: user, Since: item.LoggedAt.Add(-before), Limit: 100})
				require.NoError(t, err)
				require.Equal(t, seqsOf(want), seqsOf(page.Items), "%s, event %d", user, i)
			}
		}
	}
}

func testJournalPages(t *testing.T, j JournalUnderTest) {
	since, err := j.Journal.Now(t.Context())
	require.NoError(t, err)
	ids := []string{created(t, j.StoreUnderTest).Session.ID(), created(t, j.StoreUnderTest).Session.ID()}
	for range 5 {
		for _, id := range ids {
			setMember(t, j.StoreUnderTest, id, "carol", events.RoleViewer)
			removeMember(t, j.StoreUnderTest, id, "carol")
		}
	}
	seen, last, read := map[string]int64{}, time.Time{}, 0
	for more := true; more; {
		page, err := j.Journal.ReadUser(t.Context(), ports.UserRequest{UserID: "alice", Since: since, Seen: seen, Limit: 3})
		require.NoError(t, err)
		for _, item := range page.Items {
			require.Equal(t, seen[item.SessionID]+1, item.Seq)
			require.False(t, item.LoggedAt.Before(last))
			seen[item.SessionID], last = item.Seq, item.LoggedAt
		}
		more, read = page.More, read+len(page.Items)
	}
	require.Equal(t, 22, read)
	require.Equal(t, map[string]int64{ids[0]: 11, ids[1]: 11}, seen)
}

func testJournalTells(t *testing.T, j JournalUnderTest) {
	var told []ports.Appended
	j.Follow(func(added ports.Appended) { told = append(told, added) })
	id := created(t, j.StoreUnderTest).Session.ID()
	setMember(t, j.StoreUnderTest, id, "carol", events.RoleViewer)
	removeMember(t, j.StoreUnderTest, id, "carol")
	mustTake(t, j.StoreUnderTest, domain.Append, Said(t, id, NewID(t), Billed()))
	_, err := j.Store.Update(t.Context(), viewerOf("alice"), id, finish(t, Start)) // two events at once
	require.NoError(t, err)
	var entries []ports.Logged
	var users [][]string
	for _, added := range told {
		require.Equal(t, id, added.SessionID)
		entries = append(entries, added.Entries...)
		users = append(users, slices.Sorted(slices.Values(added.Users)))
	}
	require.Equal(t, entriesOf(t, j, id), entries)
	two, three := []string{"alice", "bob"}, []string{"alice", "bob", "carol"}
	require.Equal(t, [][]string{two, three, three, two, two}, users)
}

func testJournalTellsNothing(t *testing.T, j JournalUnderTest) {
	told := 0
	j.Follow(func(ports.Appended) { told++ })
	id := created(t, j.StoreUnderTest).Session.ID()
	fact := Said(t, id, NewID(t), Spoken("once"))
	mustTake(t, j.StoreUnderTest, domain.Append, fact)
	require.Equal(t, 2, told)
	mustTake(t, j.StoreUnderTest, domain.Duplicate, fact)
	_, err := j.Store.Update(t.Context(), viewerOf("alice"), id, func(*domain.Session) ([]ports.Entry, error) { return nil, errOnPurpose })
	require.ErrorIs(t, err, errOnPurpose)
	_, err = j.Store.Update(t.Context(), viewerOf("alice"), id, func(*domain.Session) ([]ports.Entry, error) { return nil, nil })
	require.NoError(t, err)
	require.Equal(t, 2, told)
}

func seqsOf(items []ports.UserEntry) []int64 {
	seqs := make([]int64, len(items))
	for i, item := range items {
		seqs[i] = item.Seq
	}
	return seqs
}
