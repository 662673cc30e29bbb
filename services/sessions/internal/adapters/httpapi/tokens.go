package httpapi

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// tokenBody is the one place where a token shows itself.
type tokenBody struct {
	Provider  string    `json:"provider"`
	URL       string    `json:"url"`
	Token     string    `json:"token"`
	RoomName  string    `json:"roomName"`
	Identity  string    `json:"identity"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (a API) issueToken(c *gin.Context) {
	id := sessionID(c)
	var wish domain.TokenWish
	err := readOptionalObject(c.Request, form{
		"ttlSeconds":  integer(&wish.TTLSeconds),
		"deviceId":    textPointer(&wish.DeviceID),
		"displayName": textPointer(&wish.DisplayName),
	})
	if err != nil {
		fail(c, withRules(err, wish.Check()))
		return
	}
	token, err := a.Token.Do(c.Request.Context(), caller(c), id, wish)
	if err != nil {
		fail(c, err)
		return
	}
	answer(c, http.StatusOK, tokenBody{
		Provider: token.Provider, URL: token.URL, Token: token.Secret.Reveal(), RoomName: token.RoomName, Identity: token.Identity,
		ExpiresAt: token.ExpiresAt.UTC(),
	})
}
