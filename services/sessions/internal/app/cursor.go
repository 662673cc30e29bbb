package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// ErrInvalidCursor says that a cursor was not given out to this caller for this request.
var ErrInvalidCursor = errors.New("the cursor was not given out for this request")

// The kinds of cursors.
const (
	listCursor   = 'l' // a place in a user's list of sessions
	eventsCursor = 'e' // a moment in a user's stream of events
)

// maxCursor bounds what is decoded, in characters; none that is given out is nearly as long.
const maxCursor = 512

// cursorText is base64 for URLs. Strict, so that each cursor has one spelling; of ends of lines, which the decoder passes over, there are none.
var cursorText = base64.RawURLEncoding.Strict()

// cursors seals what a later request is to bring back, so that callers can neither make nor change it nor use it elsewhere: the code (HMAC,
// RFC 2104) covers the content and what the cursor is for.
type cursors struct {
	secret []byte
	kind   byte
	holder string // the user
	filter string
}

func (c cursors) seal(content []byte) string {
	return cursorText.EncodeToString(append(c.code(content), content...))
}

// open returns what was sealed, or ErrInvalidCursor.
func (c cursors) open(cursor string) ([]byte, error) {
	if len(cursor) > maxCursor || strings.ContainsAny(cursor, "\r\n") {
		return nil, ErrInvalidCursor
	}
	sealed, err := cursorText.DecodeString(cursor)
	if err != nil || len(sealed) < sha256.Size {
		return nil, ErrInvalidCursor
	}
	code, content := sealed[:sha256.Size], sealed[sha256.Size:]
	if !hmac.Equal(code, c.code(content)) {
		return nil, ErrInvalidCursor
	}
	return content, nil
}

// code joins its parts with their lengths, so that no two ways to part them look the same.
func (c cursors) code(content []byte) []byte {
	mac := hmac.New(sha256.New, c.secret)
	for _, part := range [][]byte{{c.kind}, []byte(c.holder), []byte(c.filter), content} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) //nolint:gosec // Parts are short.
		mac.Write(part)
	}
	return mac.Sum(nil)
}
