package commands

// CallPresenceName is the command's name and routing key.
const CallPresenceName = "call.presence"

// CallPresence asks whether anybody is in a session's call, for a decision that must not be made
// over their heads. It changes nothing and may be sent again.
type CallPresence struct {
	CommandID      string `json:"commandId"`      // UUID, lower case
	SessionID      string `json:"sessionId"`      // UUID, lower case
	SessionVersion int64  `json:"sessionVersion"` // the session's version that the asker knows
}

// CallPresenceShown is the result of call.presence. A provider that can't be asked is a Failure
// with the code Unavailable, never a no.
type CallPresenceShown struct {
	// Connected: a member, a phone or a participant without a token of ours is connected, or
	// connecting, as the provider itself says at this moment. Agents and recorders are not counted.
	Connected bool `json:"connected"`
	// Activated: somebody has been in the call; the call.connected that tells so is in the
	// session's log or on its way there.
	Activated bool `json:"activated"`
}

// EncodeCallPresence writes a request. The error is an *InvalidError where c breaks the schema.
func EncodeCallPresence(c CallPresence) ([]byte, error) { return presenceRequest().encode(c) }

// DecodeCallPresence reads a request. The error is an *InvalidError.
func DecodeCallPresence(encoded []byte) (CallPresence, error) {
	var c CallPresence
	if err := presenceRequest().decode(encoded, &c); err != nil {
		return CallPresence{}, err
	}
	return c, nil
}

// EncodePresenceReply writes a reply. A failure's message is bounded to MaxMessage. The error is an
// *InvalidError where r breaks the schema.
func EncodePresenceReply(r Reply[CallPresenceShown]) ([]byte, error) {
	return presenceReply().encode(newReplyWire(r.CommandID, r.Result, r.Failure))
}

// DecodePresenceReply reads a reply. The error is an *InvalidError where encoded breaks the schema;
// a refusal is no error here, see Reply.Value.
func DecodePresenceReply(encoded []byte) (Reply[CallPresenceShown], error) {
	var wire replyWire[CallPresenceShown]
	if err := presenceReply().decode(encoded, &wire); err != nil {
		return Reply[CallPresenceShown]{}, err
	}
	if wire.Refusal != nil {
		return Refuse[CallPresenceShown](wire.CommandID, Failure(*wire.Refusal)), nil
	}
	return Succeed(wire.CommandID, *wire.Result), nil
}
