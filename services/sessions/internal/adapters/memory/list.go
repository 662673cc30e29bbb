package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// List implements ports.SessionStore.
func (s *Store) List(_ context.Context, request ports.ListRequest) (ports.SessionList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var places []ports.Position
	for id, kept := range s.sessions {
		place := ports.Position{CreatedAt: kept.snapshot.CreatedAt, SessionID: id}
		_, err := s.find(ports.Viewer{UserID: request.UserID}, id)
		wanted := len(request.Statuses) == 0 || slices.Contains(request.Statuses, kept.snapshot.Status)
		if err == nil && wanted && (request.After == nil || newestFirst(*request.After, place) < 0) {
			places = append(places, place)
		}
	}
	slices.SortFunc(places, newestFirst)
	var list ports.SessionList
	if len(places) > request.Limit {
		places = places[:request.Limit]
		list.Next = &places[request.Limit-1]
	}
	for _, place := range places {
		view, err := s.sessions[place.SessionID].view()
		if err != nil {
			return ports.SessionList{}, err
		}
		list.Items = append(list.Items, view)
	}
	return list, nil
}

func newestFirst(a, b ports.Position) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.SessionID, a.SessionID))
}

// CursorKey implements ports.CursorKeys.
func (s *Store) CursorKey(context.Context) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }
