// Package generate writes what is made from the schemas of the events and commands: the AsyncAPI document, the TypeScript types and the
// catalogue to read. What it writes depends on the schemas and the topology alone, and knows no type of event by name.
package generate

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
)

// catalogue is everything that the writers read.
type catalogue struct {
	definitions

	envelope *object
	types    []eventType
	commands []command
}

type eventType struct {
	name     string
	version  string // major.minor
	producer string // the broker user that sends it at its source
	schema   *object
	example  *object // valid, with every field
}

// major is the major version, by which consumers take or refuse the event.
func (t eventType) major() string {
	major, _, _ := strings.Cut(t.version, ".")
	return major
}

// refined returns the schema that the type gives a field of the envelope, beside the envelope's own.
func (t eventType) refined(field string) *object { return t.schema.child("properties").child(field) }

func (t eventType) payload() *object { return t.refined("payload") }

type command struct {
	name           string
	request, reply *object
}

// part is one of a command's two messages.
type part struct {
	name   string
	schema *object
}

func (c command) parts() []part {
	return []part{{c.name + ".request", c.request}, {c.name + ".reply", c.reply}}
}

// read collects the catalogue of this build; examples is the folder with a folder for each type.
func read(examples fs.FS) (*catalogue, error) {
	envelope, err := parse(events.EnvelopeSchema())
	if err != nil {
		return nil, fmt.Errorf("reading the envelope's schema: %w", err)
	}
	c := &catalogue{definitions: definitions{prefix: "#/$defs/", all: envelope.child("$defs")}, envelope: envelope}
	for _, t := range events.Types() {
		found := eventType{name: string(t), version: events.Version(t), producer: events.Producer(t)}
		if found.schema, err = parse(events.Schema(t)); err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", t, err)
		}
		text, err := fs.ReadFile(examples, string(t)+"/valid.json")
		if err != nil {
			return nil, fmt.Errorf("reading the example of %s: %w", t, err)
		}
		if found.example, err = parse(text); err != nil {
			return nil, fmt.Errorf("reading the example of %s: %w", t, err)
		}
		c.types = append(c.types, found)
	}
	for _, name := range topology.CommandKeys() {
		found := command{name: name}
		if found.request, err = parse(commands.Schema(name + ".request")); err != nil {
			return nil, fmt.Errorf("reading the request of %s: %w", name, err)
		}
		if found.reply, err = parse(commands.Schema(name + ".reply")); err != nil {
			return nil, fmt.Errorf("reading the reply of %s: %w", name, err)
		}
		c.commands = append(c.commands, found)
	}
	return c, nil
}

// definitions are the schemas that others of their document refer to.
type definitions struct {
	prefix string // of a reference to one
	all    *object
}

// definition returns what a reference leads to, and its name.
func (d definitions) definition(reference string) (string, *object, error) {
	_, name, ok := strings.Cut(reference, d.prefix)
	if !ok || !d.all.has(name) {
		return "", nil, fmt.Errorf("%s leads to no definition", reference)
	}
	return name, d.all.child(name), nil
}

// resolved returns node with the rules of what it refers to; its own words win.
func (d definitions) resolved(node *object) (*object, error) {
	if !node.has("$ref") {
		return node, nil
	}
	_, target, err := d.definition(node.text("$ref"))
	if err != nil {
		return nil, err
	}
	if target, err = d.resolved(target); err != nil {
		return nil, err
	}
	whole := target.without()
	for _, keyword := range node.without("$ref").names {
		whole.set(keyword, node.values[keyword])
	}
	return whole, nil
}
