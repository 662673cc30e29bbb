package generate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/callplane/callplane/contracts/events"
)

// markdown writes the catalogue for people: a section for each type.
func (c *catalogue) markdown() ([]byte, error) {
	var text strings.Builder
	text.WriteString(`# The catalogue of events

<!-- Generated from the schemas by make generate; not to be edited. -->

Every event is an envelope of the same seven fields, with a payload by its type. The rules that hold for all of them, and who may send
what, are in [contracts/README.md](../README.md). All fields but those called optional are always there.

`)
	text.WriteString("## The envelope\n\n")
	if err := c.table(&text, c.envelope); err != nil {
		return nil, err
	}
	text.WriteString("\n## The types\n\n| type | version | from | |\n|---|---|---|---|\n")
	for _, t := range c.types {
		anchor := strings.ReplaceAll(t.name, ".", "")
		fmt.Fprintf(&text, "| [`%s`](#%s) | %s | %s | %s |\n", t.name, anchor, t.version, t.producer, cell(t.schema.text("description")))
	}
	for _, t := range c.types {
		if err := c.section(&text, t); err != nil {
			return nil, fmt.Errorf("the section of %s: %w", t.name, err)
		}
	}
	return []byte(text.String()), nil
}

func (c *catalogue) section(text *strings.Builder, t eventType) error {
	fmt.Fprintf(text, "\n## %s\n\n%s\n\nFrom %s, in version %s.", t.name, t.schema.text("description"), t.producer, t.version)
	if user := events.ProducerSessions; user != t.producer && maySend(user, t.name) {
		fmt.Fprintf(text, " Whatever is posted to the API comes from %s.", user)
	}
	fmt.Fprintf(text, " Schema: [%s.json](schemas/%s.json).\n\n", t.name, t.name)
	for _, field := range t.schema.child("properties").names {
		if slices.Contains([]string{"type", "version", "payload"}, field) {
			continue
		}
		narrowed, err := refinements(field, t.refined(field))
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "Of the envelope, %s.\n\n", strings.Join(narrowed, "; "))
	}
	if err := c.table(text, t.payload()); err != nil {
		return err
	}
	example, err := indented(t.example)
	if err != nil {
		return err
	}
	fmt.Fprintf(text, "\n```json\n%s```\n", example)
	return nil
}

// refinements tells in words what a type asks of a field of the envelope, beside the envelope's own rules.
func refinements(path string, node *object) ([]string, error) {
	told, err := rules(node)
	if err != nil {
		return nil, err
	}
	if len(told) > 0 {
		told = []string{fmt.Sprintf("`%s` is %s", path, strings.Join(told, ", "))}
	}
	for _, name := range node.child("properties").names {
		inner, err := refinements(path+"."+name, node.child("properties").child(name))
		if err != nil {
			return nil, err
		}
		told = append(told, inner...)
	}
	return told, nil
}

// table writes a row for each field of an object, those of inner objects after it.
func (c *catalogue) table(text *strings.Builder, node *object) error {
	whole, err := rules(node)
	if err != nil {
		return err
	}
	if len(whole) > 0 {
		fmt.Fprintf(text, "As a whole: %s.\n\n", strings.Join(whole, "; "))
	}
	text.WriteString("| field | type | rules | |\n|---|---|---|---|\n")
	return c.rows(text, "", node)
}

func (c *catalogue) rows(text *strings.Builder, path string, node *object) error {
	for _, name := range node.child("properties").names {
		property, err := c.resolved(node.child("properties").child(name))
		if err != nil {
			return fmt.Errorf("%s%s: %w", path, name, err)
		}
		kind := strings.Join(kinds(property), " or ")
		if !slices.Contains(node.list("required"), any(name)) {
			kind += ", optional"
		}
		if err := c.row(text, path+name, kind, property); err != nil {
			return fmt.Errorf("%s%s: %w", path, name, err)
		}
	}
	return nil
}

func (c *catalogue) row(text *strings.Builder, path, kind string, property *object) error {
	told, err := rules(property)
	if err != nil {
		return err
	}
	fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", path, kind, cell(strings.Join(told, "; ")), cell(property.text("description")))
	if err := c.rows(text, path+".", property); err != nil {
		return err
	}
	if !property.has("items") {
		return nil
	}
	items, err := c.resolved(property.child("items"))
	if err != nil {
		return err
	}
	if items.has("properties") {
		return c.rows(text, path+"[].", items)
	}
	return c.row(text, path+"[]", strings.Join(kinds(items), " or "), items)
}

// cell makes text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
