package events_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/callplane/callplane/contracts/events"
)

func TestNumberFits(t *testing.T) {
	for number, fits := range map[string]bool{
		"0": true, "-1.5E+400": true, "1e-400": true, strings.Repeat("1", 64): true,
		"1e401": false, "0e-401": false, "1e99999999999999999999": false, strings.Repeat("1", 65): false,
	} {
		assert.Equal(t, fits, events.NumberFits(number), number)
	}
}
