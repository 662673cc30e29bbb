package httpapi

import (
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var consumerForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type checkpointBody struct {
	Consumer  string    `json:"consumer"`
	EventID   string    `json:"eventId"`
	UpdatedAt time.Time `json:"updatedAt"`
}

func (a API) putCheckpoint(c *gin.Context) {
	id, consumer, ok := checkpointName(c)
	if !ok {
		return
	}
	var eventID string
	text, err := readBody(c.Request, []string{mediaJSON})
	if err == nil {
		err = decodeObject(text, form{"eventId": uuidField(&eventID)}, "eventId")
	}
	if err != nil {
		fail(c, err)
		return
	}
	kept, err := a.AdvanceCheckpoint.Do(c.Request.Context(), caller(c), id, consumer, eventID)
	var gone *ports.WatermarkGoneError
	if errors.As(err, &gone) {
		err = eventSetAside.WithExtension("earliestEventId", gone.Earliest)
	}
	answerCheckpoint(c, consumer, kept, err)
}

func (a API) getCheckpoint(c *gin.Context) {
	id, consumer, ok := checkpointName(c)
	if !ok {
		return
	}
	kept, err := a.GetCheckpoint.Do(c.Request.Context(), caller(c), id, consumer)
	answerCheckpoint(c, consumer, kept, err)
}

// checkpointName returns the session and the consumer in the path. ok is false, and the answer given, where no consumer has such a name.
func checkpointName(c *gin.Context) (id, consumer string, ok bool) {
	id, consumer = sessionID(c), c.Param(consumerParam)
	if !consumerForm.MatchString(consumer) {
		fail(c, problem.InvalidRequest.WithErrors(problem.FieldError{
			Pointer: consumerParam, Code: domain.FaultFormat, Message: "must be 1 to 64 of A-Z, a-z, 0-9, ., _ and -",
		}))
		return "", "", false
	}
	return id, consumer, true
}

func answerCheckpoint(c *gin.Context, consumer string, kept ports.Checkpoint, err error) {
	if err != nil {
		fail(c, err)
		return
	}
	answer(c, http.StatusOK, checkpointBody{Consumer: consumer, EventID: kept.EventID, UpdatedAt: kept.UpdatedAt})
}
