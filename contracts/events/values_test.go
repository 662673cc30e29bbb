package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

func TestOptional(t *testing.T) {
	type holder struct {
		Title events.Optional[string] `json:"title,omitzero"`
	}
	for text, want := range map[string]holder{
		`{}`:             {},
		`{"title":null}`: {Title: events.Null[string]()},
		`{"title":"x"}`:  {Title: events.Some("x")},
	} {
		encoded, err := json.Marshal(want)
		require.NoError(t, err)
		assert.Equal(t, text, string(encoded))
		var decoded holder
		require.NoError(t, json.Unmarshal([]byte(text), &decoded))
		assert.Equal(t, want, decoded)
	}
	value, present := events.FromPtr[string](nil).Get()
	assert.Nil(t, value)
	assert.True(t, present)
	assert.Error(t, json.Unmarshal([]byte(`{"title":7}`), &holder{}))
}

func TestInstant(t *testing.T) {
	local := time.Date(2026, 11, 23, 9, 36, 30, 5, time.FixedZone("CET", 3600))
	encoded, err := json.Marshal(events.Instant{Time: local})
	require.NoError(t, err)
	assert.Equal(t, `"2026-11-23T08:36:30.000000005Z"`, string(encoded))

	var decoded events.Instant
	require.NoError(t, json.Unmarshal([]byte(`"2026-11-23T09:36:30.000000005+01:00"`), &decoded))
	assert.Equal(t, events.At(local), decoded)
	assert.Equal(t, time.UTC, decoded.Location())
	assert.Nil(t, events.AtPtr(nil))
	assert.Equal(t, events.At(local), *events.AtPtr(&local))

	_, err = json.Marshal(events.Instant{Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)})
	assert.Error(t, err)
	assert.Error(t, json.Unmarshal([]byte(`"yesterday"`), &decoded))
}

func TestBounded(t *testing.T) {
	assert.Equal(t, "mic", events.Bounded("mic", 3))
	assert.Equal(t, "mi", events.Bounded("mic", 2))
	assert.Equal(t, "éé", events.Bounded("ééé", 2))
	assert.Equal(t, "mic", events.Bounded("m\x00ic", 3))
	assert.Equal(t, "m\uFFFDc", events.Bounded("m\xffc", 3))
	assert.Empty(t, events.Bounded("\x00", 3))
	assert.Len(t, events.Bounded(strings.Repeat("x", 5000), events.MaxTrackName), events.MaxTrackName)
}

func TestCatalogue(t *testing.T) {
	for _, eventType := range events.Types() {
		assert.True(t, eventType.Known())
		assert.Equal(t, "1.0", events.Version(eventType))
		assert.True(t, events.MaySend(events.Producer(eventType), eventType))
		version := object(object(parse(t, events.Schema(eventType))["properties"])["version"])
		assert.Equal(t, events.Version(eventType), version["const"], "%s: the schema's version", eventType)
	}
	assert.False(t, events.Type("call.strange").Known())
	assert.Empty(t, events.Producer("call.strange"))
	assert.Empty(t, events.Version("call.strange"))
	assert.Nil(t, events.Schema("call.strange"))
	assert.Nil(t, events.Schema("envelope"), "the envelope is no type")
}
