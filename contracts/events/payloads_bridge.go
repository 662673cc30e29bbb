package events

// ProviderRoom says which room of which provider an event speaks of. The name stays the same for the
// session's whole life; the sid changes when the provider makes the room again.
type ProviderRoom struct {
	Provider string `json:"provider"`
	RoomName string `json:"roomName"`
	RoomSID  string `json:"roomSid"`
}

// ProviderParticipant says whose connection to a room an event speaks of. The identity stays the
// same over rejoins; the sid changes.
type ProviderParticipant struct {
	Identity       string `json:"identity"`
	UserID         string `json:"userId"`
	ParticipantSID string `json:"participantSid"`
}

// Track describes a published track.
type Track struct {
	TrackSID string      `json:"trackSid"`
	Kind     TrackKind   `json:"kind"`
	Source   TrackSource `json:"source"`
	Name     *string     `json:"name"`
	MimeType *string     `json:"mimeType"`
}

// CallConnectingPayload is the payload of call.connecting: the room's first sign of life.
type CallConnectingPayload struct {
	ProviderRoom
}

// CallConnectedPayload is the payload of call.connected: the first participant is in. Room,
// identity and room sid become the session's correlation.
type CallConnectedPayload struct {
	ProviderRoom
	ProviderParticipant
}

// CallReconnectingPayload is the payload of call.reconnecting: nobody is present, and somebody may
// come back until the deadline.
type CallReconnectingPayload struct {
	ProviderRoom
	Deadline Instant `json:"deadline"`
}

// CallReconnectedPayload is the payload of call.reconnected: somebody came back in time.
type CallReconnectedPayload struct {
	ProviderRoom
}

// CallDisconnectedPayload is the payload of call.disconnected: the room is finished.
type CallDisconnectedPayload struct {
	ProviderRoom
	Reason DisconnectReason `json:"reason"`
}

// CallParticipantJoinedPayload is the payload of call.participant.joined.
type CallParticipantJoinedPayload struct {
	ProviderRoom
	ProviderParticipant
	DeviceID *string `json:"deviceId"`
	JoinedAt Instant `json:"joinedAt"`
}

// CallParticipantReconnectingPayload is the payload of call.participant.reconnecting: lost, and
// expected back until the deadline.
type CallParticipantReconnectingPayload struct {
	ProviderRoom
	ProviderParticipant
	Reason   LeaveReason `json:"reason"`
	Deadline Instant     `json:"deadline"`
}

// CallParticipantReconnectedPayload is the payload of call.participant.reconnected: back in time.
type CallParticipantReconnectedPayload struct {
	ProviderRoom
	ProviderParticipant
}

// CallParticipantLeftPayload is the payload of call.participant.left.
type CallParticipantLeftPayload struct {
	ProviderRoom
	ProviderParticipant
	Reason LeaveReason `json:"reason"`
	LeftAt Instant     `json:"leftAt"`
}

// CallTrackPublishedPayload is the payload of call.track.published.
type CallTrackPublishedPayload struct {
	ProviderRoom
	ProviderParticipant
	Track
}

// CallTrackUnpublishedPayload is the payload of call.track.unpublished.
type CallTrackUnpublishedPayload struct {
	ProviderRoom
	ProviderParticipant
	Track
}

// CallErrorPayload is the payload of call.error: the provider reported a problem with the call.
type CallErrorPayload struct {
	Provider  string  `json:"provider"`
	RoomName  *string `json:"roomName"`
	RoomSID   *string `json:"roomSid"`
	Code      string  `json:"code"`
	Message   string  `json:"message"`
	Retryable bool    `json:"retryable"`
}

// EventType returns CallConnecting.
func (CallConnectingPayload) EventType() Type { return CallConnecting }

// EventType returns CallConnected.
func (CallConnectedPayload) EventType() Type { return CallConnected }

// EventType returns CallReconnecting.
func (CallReconnectingPayload) EventType() Type { return CallReconnecting }

// EventType returns CallReconnected.
func (CallReconnectedPayload) EventType() Type { return CallReconnected }

// EventType returns CallDisconnected.
func (CallDisconnectedPayload) EventType() Type { return CallDisconnected }

// EventType returns CallParticipantJoined.
func (CallParticipantJoinedPayload) EventType() Type { return CallParticipantJoined }

// EventType returns CallParticipantReconnecting.
func (CallParticipantReconnectingPayload) EventType() Type { return CallParticipantReconnecting }

// EventType returns CallParticipantReconnected.
func (CallParticipantReconnectedPayload) EventType() Type { return CallParticipantReconnected }

// EventType returns CallParticipantLeft.
func (CallParticipantLeftPayload) EventType() Type { return CallParticipantLeft }

// EventType returns CallTrackPublished.
func (CallTrackPublishedPayload) EventType() Type { return CallTrackPublished }

// EventType returns CallTrackUnpublished.
func (CallTrackUnpublishedPayload) EventType() Type { return CallTrackUnpublished }

// EventType returns CallError.
func (CallErrorPayload) EventType() Type { return CallError }
