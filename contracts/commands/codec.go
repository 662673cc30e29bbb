package commands

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/internal/schema"
	"github.com/callplane/callplane/contracts/internal/strictjson"
)

// MaxSize bounds an encoded request or reply, in bytes.
const MaxSize = 64 << 10

//go:embed schemas/*.json
var schemaFiles embed.FS

// InvalidError says that a request or reply breaks its contract. It never quotes a value, so it may
// be logged and sent.
type InvalidError struct {
	Message string // which message, such as "token.issue request"
	Reason  string
}

func (e *InvalidError) Error() string { return "invalid " + e.Message + ": " + e.Reason }

// message is one kind of message, and its two schemas: strict for what this build writes, tolerant
// of fields it doesn't know for what it reads.
type message struct {
	title            string
	strict, tolerant schema.Schema
}

// Schema returns the JSON Schema (2020-12) of a message: "<command>.request" or "<command>.reply",
// or nil for one that isn't there.
func Schema(name string) []byte {
	text, err := schemaFiles.ReadFile("schemas/" + name + ".json")
	if err != nil {
		return nil
	}
	return text
}

// load compiles the schemas of one message. They are part of the build; one that is missing or does
// not compile panics.
func load(name string) message {
	strict, tolerant := schema.Parse(Schema(name)), schema.Parse(Schema(name))
	schema.AllowUnknown(tolerant)
	shared := schema.Parse(events.EnvelopeSchema())
	return message{
		title:    schema.Part[string](strict, "title"),
		strict:   schema.Compile([]map[string]any{strict}, shared)[0],
		tolerant: schema.Compile([]map[string]any{tolerant}, shared)[0],
	}
}

var (
	tokenRequest = sync.OnceValue(func() message { return load(TokenIssueName + ".request") })
	tokenReply   = sync.OnceValue(func() message { return load(TokenIssueName + ".reply") })

	presenceRequest = sync.OnceValue(func() message { return load(CallPresenceName + ".request") })
	presenceReply   = sync.OnceValue(func() message { return load(CallPresenceName + ".reply") })
)

// encode writes v and holds it to the strict schema.
func (m message) encode(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding a %s: %w", m.title, err)
	}
	encoded := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if err := m.check(encoded, m.strict); err != nil {
		return nil, err
	}
	return encoded, nil
}

// decode holds encoded to the tolerant schema and reads it into v.
func (m message) decode(encoded []byte, v any) error {
	if err := m.check(encoded, m.tolerant); err != nil {
		return err
	}
	if err := json.Unmarshal(encoded, v); err != nil {
		return &InvalidError{Message: m.title, Reason: "does not fit its Go type"}
	}
	return nil
}

func (m message) check(encoded []byte, s schema.Schema) error {
	if len(encoded) > MaxSize {
		return &InvalidError{Message: m.title, Reason: fmt.Sprintf("%d bytes, at most %d are taken", len(encoded), MaxSize)}
	}
	document, err := strictjson.ParseObject(encoded)
	if err != nil {
		return &InvalidError{Message: m.title, Reason: err.Error()}
	}
	if found := s.Validate(document); len(found) > 0 {
		return &InvalidError{Message: m.title, Reason: schema.Describe(found)}
	}
	return nil
}
