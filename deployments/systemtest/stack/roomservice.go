package stack

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// roomService is the name of LiveKit's service of rooms and participants.
const roomService = "livekit.RoomService"

// RoomCall is a call of the bridge to LiveKit's RoomService, as far as it is about one room.
type RoomCall struct {
	Method   string        // such as ListParticipants
	Room     string        // "" where the call is about all rooms
	Identity string        // "" where it is about the room as a whole
	Request  proto.Message // as the bridge has sent it
	At       time.Time
}

// RoomServiceProxy stands between a bridge and LiveKit's RoomService and can answer with lies.
type RoomServiceProxy struct {
	server *httptest.Server
	ahead  *http.Transport // to LiveKit
	end    chan struct{}   // closed when no answer is delayed any longer

	mu         sync.Mutex
	treatments map[string]func(RoomCall) Lie // by room
	others     func(RoomCall) Lie            // of rooms without a treatment
	calls      []RoomCall
	known      knowledge
	offset     time.Duration // of the clock that the answers' Date header shows
}

// NewRoomServiceProxy passes calls on to target, LiveKit's server API. It ends with the test.
func NewRoomServiceProxy(t testing.TB, target string) *RoomServiceProxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatalf("standing before LiveKit's server API: %v", err)
	}
	p := &RoomServiceProxy{
		treatments: map[string]func(RoomCall) Lie{}, others: Honest, known: newKnowledge(),
		ahead: &http.Transport{MaxIdleConnsPerHost: 8}, end: make(chan struct{}),
	}
	forward := &httputil.ReverseProxy{
		Transport: p.ahead,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Header.Del("Accept-Encoding") // An answer has to be readable here.
		},
		ModifyResponse: p.modify,
		// The bridge sees what it would see of LiveKit: a connection that ends without an answer.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = httptest.NewServer(p.handler(forward))
	t.Cleanup(func() {
		close(p.end)
		p.server.CloseClientConnections()
		p.server.Close()
		p.ahead.CloseIdleConnections()
	})
	return p
}

// URL is the address of the proxy, as the bridge's LIVEKIT_API_URL.
func (p *RoomServiceProxy) URL() string { return p.server.URL }

// Treat has each call about a room answered, from now on, with the lie that decide returns.
func (p *RoomServiceProxy) Treat(room string, decide func(RoomCall) Lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.treatments[room] = decide
}

// TreatOthers is Treat for all rooms without a treatment of their own, and for calls about all
// rooms.
func (p *RoomServiceProxy) TreatOthers(decide func(RoomCall) Lie) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.others = decide
}

// ShiftClock moves the clock that the Date header of each answer shows.
func (p *RoomServiceProxy) ShiftClock(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offset = by
}

// Calls lists the calls of a method about a room so far, in their order.
func (p *RoomServiceProxy) Calls(room, method string) []RoomCall {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.calls), func(c RoomCall) bool { return c.Room != room || c.Method != method })
}

// Listed returns the identities of the active participants in the last answer to ListParticipants
// about a room that was not stale: a stale answer repeats it.
func (p *RoomServiceProxy) Listed(room string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var identities []string
	for _, person := range p.known.people[room] {
		if person.GetState() == livekit.ParticipantInfo_ACTIVE {
			identities = append(identities, person.GetIdentity())
		}
	}
	return identities
}

// exchange is one request of the bridge and what is false in its answer.
type exchange struct {
	call   RoomCall // without a room where several are asked for
	asked  []string // the rooms that are asked for; empty: all
	lies   map[string]Lie
	answer protoreflect.MessageType
}

// exchangeKey finds the exchange in a request's context.
type exchangeKey struct{}

// handler decides on each call, and answers it or passes it on.
func (p *RoomServiceProxy) handler(forward http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/twirp/"+roomService+"/") {
			forward.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		x, err := p.read(r, body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var late time.Duration
		var failure Lie
		for _, lie := range x.lies {
			late = max(late, lie.Late)
			if lie.Fails != "" {
				failure = lie
			}
		}
		if !p.pause(r.Context(), late) {
			panic(http.ErrAbortHandler)
		}
		if failure.Fails != "" {
			w.Header().Set("Date", p.date())
			_ = twirp.WriteError(w, twirp.NewError(failure.Fails, failure.Says)) // The bridge may be gone.
			return
		}
		forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	})
}

// pause waits, and returns false where the bridge or the test ends before.
func (p *RoomServiceProxy) pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-p.end:
	}
	return false
}

// read reads and records a call, and decides what is false in its answer.
func (p *RoomServiceProxy) read(r *http.Request, body []byte) (exchange, error) {
	method := path.Base(r.URL.Path)
	request, answer, err := messagesOf(method)
	if err != nil {
		return exchange{}, err
	}
	if err := proto.Unmarshal(body, request); err != nil {
		return exchange{}, fmt.Errorf("reading a call of %s: %w", method, err)
	}
	call := RoomCall{Method: method, Request: request, At: time.Now()}
	if about, ok := request.(interface{ GetIdentity() string }); ok {
		call.Identity = about.GetIdentity()
	}
	x := exchange{call: call, asked: roomsIn(request), lies: map[string]Lie{}, answer: answer}
	p.mu.Lock()
	defer p.mu.Unlock()
	rooms := x.asked
	if len(rooms) == 0 {
		rooms = []string{""}
	}
	for _, room := range rooms {
		call.Room = room
		p.calls = append(p.calls, call)
		x.lies[room] = p.decide(call)
	}
	return x, nil
}

// decideOnAll decides about each room that LiveKit has, or once had, where all rooms were asked
// for. The call does not fail by one of them.
func (p *RoomServiceProxy) decideOnAll(x exchange, answer proto.Message) {
	rooms, ok := answer.(*livekit.ListRoomsResponse)
	if !ok || len(x.asked) > 0 {
		return
	}
	names := slices.Collect(maps.Keys(p.known.rooms))
	for _, room := range rooms.GetRooms() {
		names = append(names, room.GetName())
	}
	for _, name := range names {
		call := x.call
		call.Room = name
		x.lies[name] = p.decide(call)
	}
}

func (p *RoomServiceProxy) decide(call RoomCall) Lie {
	if decide, treated := p.treatments[call.Room]; treated {
		return decide(call)
	}
	return p.others(call)
}

// messagesOf returns an empty request of a method, and the type of its answer.
func messagesOf(method string) (proto.Message, protoreflect.MessageType, error) {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(roomService)
	if err != nil {
		return nil, nil, fmt.Errorf("looking for %s: %w", roomService, err)
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, nil, fmt.Errorf("%s is no service", roomService)
	}
	descriptor := service.Methods().ByName(protoreflect.Name(method))
	if descriptor == nil {
		return nil, nil, fmt.Errorf("%s has no method %s", roomService, method)
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.Input().FullName())
	if err != nil {
		return nil, nil, fmt.Errorf("the request of %s: %w", method, err)
	}
	answer, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.Output().FullName())
	if err != nil {
		return nil, nil, fmt.Errorf("the answer of %s: %w", method, err)
	}
	return request.New().Interface(), answer, nil
}

// roomsIn lists the rooms that a request names.
func roomsIn(request proto.Message) []string {
	switch r := request.(type) {
	case *livekit.ListRoomsRequest:
		return r.GetNames()
	case *livekit.CreateRoomRequest:
		return []string{r.GetName()}
	case interface{ GetRoom() string }:
		return []string{r.GetRoom()}
	default:
		return nil
	}
}

// modify puts the lies into an answer of LiveKit's, and remembers what was honest.
func (p *RoomServiceProxy) modify(res *http.Response) error {
	res.Header.Set("Date", p.date())
	x, ok := res.Request.Context().Value(exchangeKey{}).(exchange)
	if !ok || res.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("reading an answer of LiveKit's: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return fmt.Errorf("reading an answer of LiveKit's: %w", err)
	}
	answer := x.answer.New().Interface()
	if err := proto.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("reading an answer of LiveKit's: %w", err)
	}
	p.mu.Lock()
	p.decideOnAll(x, answer)
	p.known.falsify(x, answer)
	p.mu.Unlock()
	changed, err := proto.Marshal(answer)
	if err != nil {
		return fmt.Errorf("changing an answer of LiveKit's: %w", err)
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
	res.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	return nil
}

// date is what a Date header says now.
func (p *RoomServiceProxy) date() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Add(p.offset).UTC().Format(http.TimeFormat)
}
