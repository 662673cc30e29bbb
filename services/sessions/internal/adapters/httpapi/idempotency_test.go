package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func keyed(key string) map[string]string { return map[string]string{"Idempotency-Key": key} }

// post creates a session of alice.
func (b *bundle) post(body string, header map[string]string) reply {
	b.t.Helper()
	return b.do(call{http.MethodPost, collection, "alice", body, header})
}

func TestARepeatIsAnsweredAsTheFirst(t *testing.T) {
	b := setup(t)
	first := b.post(`{"title":"<a>","metadata":{"n":1.0}}`, keyed("a-key")).ok(http.StatusCreated)
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	b.do(call{http.MethodPatch, first.header.Get("Location"), "alice", `{"title":"changed"}`, nil}).ok(http.StatusOK)
	b.clock.Advance(24*time.Hour - time.Second)
	for _, same := range []string{`{"title":"<a>","metadata":{"n":1.0}}`, ` {"metadata": {"n":1.0}, "title":"<\u0061>"} `} {
		again := b.post(same, keyed(`"a-key"`)).ok(http.StatusCreated)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, string(first.text), string(again.text), "the body of then")
		for _, name := range []string{"ETag", "Location", "Content-Type", "Cache-Control"} {
			require.Equal(t, first.header.Get(name), again.header.Get(name), name)
		}
		require.NotEqual(t, first.header.Get("X-Request-Id"), again.header.Get("X-Request-Id"))
	}
	b.clock.Advance(time.Second)
	anew := b.post(`{}`, keyed("a-key")).ok(http.StatusCreated)
	require.NotEqual(t, first.body["sessionId"], anew.body["sessionId"])
}

func TestAKeyIsForOneRequestOfOneCaller(t *testing.T) {
	b := setup(t)
	first := b.post(`{"metadata":{"n":9007199254740993}}`, keyed("k")).ok(http.StatusCreated)
	r := b.post(`{"metadata":{"n":9007199254740992}}`, keyed("k")).problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
	require.Equal(t, false, r.body["retryable"])
	b.post(`{}`, keyed("k")).problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
	other := b.do(call{http.MethodPost, collection, "bob", `{"metadata":{"n":9007199254740993}}`, keyed("k")}).ok(http.StatusCreated)
	require.NotEqual(t, first.body["sessionId"], other.body["sessionId"])
	without := b.post(`{"metadata":{"n":9007199254740993}}`, nil).ok(http.StatusCreated)
	require.NotEqual(t, first.body["sessionId"], without.body["sessionId"])
}

func TestKeys(t *testing.T) {
	b := setup(t)
	for _, bad := range []string{"", `""`, "a b", "ü", `"a`, `a"b" c`, `"a" `, `"a\b"`, `"a";p=1`, "\x7f", strings.Repeat("x", 256), `"` + strings.Repeat("x", 256) + `"`} {
		request := map[string]string{"Idempotency-Key": bad}
		if bad == "" {
			request = map[string]string{"Idempotency-Key": " "}
		}
		r := b.post(`{}`, request).problem(http.StatusBadRequest, "invalid_request")
		require.Equal(t, map[string]string{"Idempotency-Key": "invalid_format"}, r.faults(), bad)
	}
	for quoted, bare := range map[string]string{`"x"`: "x", `"a\"b\\c"`: `a"b\c`, `"` + strings.Repeat("~", 255) + `"`: strings.Repeat("~", 255)} {
		first := b.post(`{}`, keyed(quoted)).ok(http.StatusCreated)
		again := b.post(`{}`, keyed(bare)).ok(http.StatusCreated)
		require.Equal(t, string(first.text), string(again.text), quoted)
	}
}

func TestOnlySuccessIsKept(t *testing.T) {
	b := setup(t)
	b.post(`{"kind":"smell"}`, keyed("k")).problem(http.StatusBadRequest, "invalid_request")
	b.post(`{`, keyed("k")).problem(http.StatusBadRequest, "invalid_json")
	r := b.post(`{}`, keyed("k")).ok(http.StatusCreated)
	require.Empty(t, r.header.Get("Idempotency-Replayed"))
}

// failing is a store whose next creation within a keyed request fails with the error, after everything was written.
type failing struct {
	wholeStore
	next error
}

func (f *failing) Once(
	ctx context.Context, request ports.KeyedRequest, work func(ports.SessionStore) (ports.Response, error),
) (ports.Response, bool, error) {
	return f.wholeStore.Once(ctx, request, func(inner ports.SessionStore) (ports.Response, error) {
		return work(failingCreate{inner, f})
	})
}

type failingCreate struct {
	ports.SessionStore
	of *failing
}

func (f failingCreate) Create(ctx context.Context, session *domain.Session, log []ports.Entry) (ports.View, error) {
	view, err := f.SessionStore.Create(ctx, session, log)
	if err == nil && f.of.next != nil {
		err, f.of.next = f.of.next, nil
	}
	return view, err
}

// TestAFailureOfOursIsNotKept: what failed here can be asked for again with the same key, and is then done once.
func TestAFailureOfOursIsNotKept(t *testing.T) {
	store := &failing{wholeStore: memory.NewStore()}
	b := setupWith(t, store)
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{fmt.Errorf("create: %w", ports.ErrUnavailable), http.StatusServiceUnavailable, "unavailable"},
		{errors.New("a bug"), http.StatusInternalServerError, "internal"},
	} {
		store.next = c.err
		r := b.post(`{"title":"once"}`, keyed("k")).problem(c.status, c.code)
		require.Empty(t, r.header.Get("Idempotency-Replayed"))
		require.Equal(t, c.status == http.StatusServiceUnavailable, r.header.Get("Retry-After") != "")
		require.Empty(t, b.do(call{http.MethodGet, collection, "alice", "", nil}).ok(http.StatusOK).body["items"], "nothing was done")
	}
	done := b.post(`{"title":"once"}`, keyed("k")).ok(http.StatusCreated)
	require.Empty(t, done.header.Get("Idempotency-Replayed"))
	again := b.post(`{"title":"once"}`, keyed("k")).ok(http.StatusCreated)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, string(done.text), string(again.text))
	require.Len(t, b.do(call{http.MethodGet, collection, "alice", "", nil}).ok(http.StatusOK).body["items"], 1)
}

func TestAuthorizationComesBeforeAReplay(t *testing.T) {
	b := setup(t)
	asAdmin := map[string]string{"Idempotency-Key": "k", "X-Scopes": "call:admin"}
	create := call{http.MethodPost, collection, "support", `{"ownerId":"dave"}`, asAdmin}
	b.do(create).ok(http.StatusCreated)
	require.Equal(t, "true", b.do(create).ok(http.StatusCreated).header.Get("Idempotency-Replayed"))
	create.header = keyed("k")
	b.do(create).problem(http.StatusForbidden, "forbidden")
	create.user = ""
	b.do(create).problem(http.StatusUnauthorized, "unauthenticated")
}

func TestATokenIsNeverKept(t *testing.T) {
	b := setup(t)
	path := b.session("")
	for range 2 {
		r := b.do(call{http.MethodPost, path + "/token", "bob", "", keyed("k")}).ok(http.StatusOK)
		require.Empty(t, r.header.Get("Idempotency-Replayed"))
	}
	require.Len(t, b.tokens.Requests(), 2)
}

func TestFiftyCallersWithOneKey(t *testing.T) {
	store := memory.NewStore()
	b := setupWith(t, store)
	const callers = 50
	replies := make([]reply, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { replies[i] = b.post(`{"title":"once"}`, keyed("k")) })
	}
	all.Wait()
	replayed := 0
	for _, r := range replies {
		r.ok(http.StatusCreated)
		require.Equal(t, string(replies[0].text), string(r.text))
		if r.header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
	}
	require.Equal(t, callers-1, replayed)
	require.Len(t, store.Outbox(), 1, "one session was created")
}

// slowStore creates when it is told to.
type slowStore struct {
	*memory.Store
	begun chan<- struct{}
	goOn  <-chan struct{}
}

func (s slowStore) Once(
	ctx context.Context, request ports.KeyedRequest, work func(ports.SessionStore) (ports.Response, error),
) (ports.Response, bool, error) {
	return s.Store.Once(ctx, request, func(inner ports.SessionStore) (ports.Response, error) {
		s.begun <- struct{}{}
		<-s.goOn
		return work(inner)
	})
}

func TestARepeatThatWaitsTooLongIsToldSo(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	b := setupWith(t, slowStore{memory.NewStore(), begun, goOn})
	first := make(chan reply)
	go func() { first <- b.post(`{}`, keyed("k")) }()
	<-begun
	r := b.post(`{}`, keyed("k"))
	close(goOn)
	slow := <-first
	r.problem(http.StatusConflict, "idempotency_in_progress")
	require.Equal(t, true, r.body["retryable"])
	require.Equal(t, "1", r.header.Get("Retry-After"))
	again := b.post(`{}`, keyed("k")).ok(http.StatusCreated)
	require.Equal(t, string(slow.ok(http.StatusCreated).text), string(again.text))
}
