package domain

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// DefaultDevice is the device of a member who named none.
const DefaultDevice = "default"

// MaxIdentity is the longest identity the provider takes, in bytes.
const MaxIdentity = 256

// ErrInvalidIdentity says that user and device don't make an identity.
var ErrInvalidIdentity = errors.New("invalid identity")

// RoomName returns the name of a session's room. It never changes and belongs to one session only.
func RoomName(sessionID string) string { return "call-" + sessionID }

// Identity returns the identity under which a user's device joins; different pairs never share one.
// It is USER#DEVICE, and #BASE64URL(USER)#DEVICE where the user's id holds a "#": the holder of a
// token may join once more as IDENTITY#NAME (LiveKit's query parameter publish), and must not
// become another member by that. An empty device is DefaultDevice. No code parses an identity: the
// mapping says whose it is.
func Identity(userID, deviceID string) (string, error) {
	if deviceID == "" {
		deviceID = DefaultDevice
	}
	user := userID
	if strings.Contains(userID, "#") {
		user = "#" + base64.RawURLEncoding.EncodeToString([]byte(userID))
	}
	identity := user + "#" + deviceID
	switch {
	case userID == "":
		return "", fmt.Errorf("%w: the user is empty", ErrInvalidIdentity)
	case strings.Contains(deviceID, "#"):
		return "", fmt.Errorf("%w: the device holds a #", ErrInvalidIdentity)
	case len(identity) > MaxIdentity:
		return "", fmt.Errorf("%w: longer than %d bytes", ErrInvalidIdentity, MaxIdentity)
	}
	return identity, nil
}
