package commands

import "github.com/callplane/callplane/contracts/events"

// EncodeTokenIssue writes a request. The error is an *InvalidError where c breaks the schema.
func EncodeTokenIssue(c TokenIssue) ([]byte, error) { return tokenRequest().encode(c) }

// DecodeTokenIssue reads a request. The error is an *InvalidError.
func DecodeTokenIssue(encoded []byte) (TokenIssue, error) {
	var c TokenIssue
	if err := tokenRequest().decode(encoded, &c); err != nil {
		return TokenIssue{}, err
	}
	return c, nil
}

// tokenWire is TokenIssued as it travels: the only form in which the token shows itself.
type tokenWire struct {
	Provider  string         `json:"provider"`
	URL       string         `json:"url"`
	Token     string         `json:"token"`
	RoomName  string         `json:"roomName"`
	Identity  string         `json:"identity"`
	ExpiresAt events.Instant `json:"expiresAt"`
}

// EncodeTokenReply writes a reply, the token included. A failure's message is bounded to MaxMessage.
// The error is an *InvalidError where r breaks the schema.
func EncodeTokenReply(r Reply[TokenIssued]) ([]byte, error) {
	var result *tokenWire
	if r.Result != nil {
		result = &tokenWire{
			Provider:  r.Result.Provider,
			URL:       r.Result.URL,
			Token:     r.Result.Token.Reveal(),
			RoomName:  r.Result.RoomName,
			Identity:  r.Result.Identity,
			ExpiresAt: r.Result.ExpiresAt,
		}
	}
	return tokenReply().encode(newReplyWire(r.CommandID, result, r.Failure))
}

// DecodeTokenReply reads a reply. The error is an *InvalidError where encoded breaks the schema; a
// refusal is no error here, see Reply.Value.
func DecodeTokenReply(encoded []byte) (Reply[TokenIssued], error) {
	var wire replyWire[tokenWire]
	if err := tokenReply().decode(encoded, &wire); err != nil {
		return Reply[TokenIssued]{}, err
	}
	if wire.Refusal != nil {
		return Refuse[TokenIssued](wire.CommandID, Failure(*wire.Refusal)), nil
	}
	return Succeed(wire.CommandID, TokenIssued{
		Provider:  wire.Result.Provider,
		URL:       wire.Result.URL,
		Token:     NewJoinToken(wire.Result.Token),
		RoomName:  wire.Result.RoomName,
		Identity:  wire.Result.Identity,
		ExpiresAt: wire.Result.ExpiresAt,
	}), nil
}
