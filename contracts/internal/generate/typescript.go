package generate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// typescript writes the types that clients read events with.
func (c *catalogue) typescript() ([]byte, error) {
	w := &typescriptWriter{catalogue: c, definitions: c.definitions}
	w.line("// Generated from the JSON Schemas of the events by make generate; not to be edited.")
	w.line("")
	w.comment("", "The types of all events that this version of the catalogue has.")
	w.line("export const EVENT_TYPES = [")
	for _, t := range c.types {
		w.line("  %s,", quoted(t.name))
	}
	w.line("] as const;")
	w.line("")
	w.comment("", "The type of an event that this version of the catalogue has.")
	w.line("export type EventType = (typeof EVENT_TYPES)[number];")
	if err := w.shared(c.all.names); err != nil {
		return nil, err
	}
	if err := w.envelope(); err != nil {
		return nil, fmt.Errorf("the envelope: %w", err)
	}
	for _, t := range c.types {
		if err := w.event(t); err != nil {
			return nil, fmt.Errorf("the type %s: %w", t.name, err)
		}
	}
	w.union()
	return []byte(w.text.String()), nil
}

// typescriptWriter writes the schemas of one document; catalogue is nil where that is not the events'.
type typescriptWriter struct {
	*catalogue
	definitions

	text strings.Builder
}

// shared writes the named definitions.
func (w *typescriptWriter) shared(names []string) error {
	for _, name := range names {
		definition := w.all.child(name)
		w.line("")
		if err := w.documented("", definition); err != nil {
			return fmt.Errorf("definition %s: %w", name, err)
		}
		written, err := w.value("", definition)
		if err != nil {
			return fmt.Errorf("definition %s: %w", name, err)
		}
		if definition.text("type") == "object" && definition.has("properties") {
			w.line("export interface %s %s", aliasName(name), written)
			continue
		}
		w.line("export type %s = %s;", aliasName(name), written)
	}
	return nil
}

func (w *typescriptWriter) line(format string, args ...any) {
	fmt.Fprintf(&w.text, format, args...)
	w.text.WriteByte('\n')
}

// envelope writes what all events have in common; an event of a type that a client doesn't know is no more than that.
func (w *typescriptWriter) envelope() error {
	w.line("")
	w.comment("", w.catalogue.envelope.text("description"))
	w.line("export interface Envelope {")
	properties := w.catalogue.envelope.child("properties")
	for _, name := range properties.names {
		node := properties.child(name)
		written := "object"
		if name != "payload" {
			var err error
			if written, err = w.value("  ", node); err != nil {
				return err
			}
		}
		if err := w.documented("  ", node); err != nil {
			return err
		}
		w.line("  readonly %s: %s;", name, written)
	}
	w.line("}")
	return nil
}

func (w *typescriptWriter) event(t eventType) error {
	base := pascal(t.name)
	payload, err := w.value("", t.payload())
	if err != nil {
		return err
	}
	w.line("")
	w.comment("", "The payload of "+t.name+".")
	if strings.HasPrefix(payload, "{") && strings.Count(payload, "\n}") == 1 && strings.HasSuffix(payload, "\n}") {
		w.line("export interface %sPayload %s", base, payload)
	} else {
		w.line("export type %sPayload = %s;", base, payload)
	}
	w.line("")
	w.comment("", t.schema.text("description"))
	w.line("export interface %sEvent extends Envelope {", base)
	w.line("  readonly type: %s;", quoted(t.name))
	w.line("  readonly version: `%s.${number}`;", t.major())
	for _, field := range t.schema.child("properties").names {
		if slices.Contains([]string{"type", "version", "payload"}, field) {
			continue
		}
		refined, err := w.value("  ", t.refined(field))
		if err != nil {
			return err
		}
		w.line(`  readonly %s: Envelope[%s] & %s;`, field, quoted(field), refined)
	}
	w.line("  readonly payload: %sPayload;", base)
	w.line("}")
	return nil
}

func (w *typescriptWriter) union() {
	w.line("")
	w.comment("", "Any event of the catalogue, told apart by its type.")
	w.line("export type CallplaneEvent =")
	for i, t := range w.types {
		end := ""
		if i == len(w.types)-1 {
			end = ";"
		}
		w.line("  | %sEvent%s", pascal(t.name), end)
	}
	w.text.WriteString(`
/** The event of a type. */
export type EventOf<T extends EventType> = Extract<CallplaneEvent, { readonly type: T }>;

/** The payload of a type. */
export type PayloadOf<T extends EventType> = EventOf<T>["payload"];

const majors: Readonly<Record<EventType, string>> = {
`)
	for _, t := range w.types {
		w.line("  %s: %s,", quoted(t.name), quoted(t.major()))
	}
	w.text.WriteString(`};

/**
 * Says whether an event is of the catalogue: of a type that it has, in the major version that it has. A newer service may send others;
 * they are to be passed over. The event is taken for valid, as the service has checked it.
 */
export function isCallplaneEvent(event: Envelope): event is CallplaneEvent {
  return Object.hasOwn(majors, event.type) && event.version.startsWith(majors[event.type as EventType] + ".");
}

/** Says whether an event is of the given type, in the major version that the catalogue has. */
export function isEventOfType<T extends EventType>(event: Envelope, type: T): event is EventOf<T> {
  return event.type === type && isCallplaneEvent(event);
}
`)
}

// comment writes a doc comment, folded to lines of readable length.
func (w *typescriptWriter) comment(indent, text string) {
	text = strings.ReplaceAll(text, "*/", "*\\/")
	const width = 130
	if len(indent)+len(text)+len("/**  */") <= width {
		w.line("%s/** %s */", indent, text)
		return
	}
	w.line("%s/**", indent)
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(indent)+len(" * ")+len(line)+1+len(word) > width {
			w.line("%s * %s", indent, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	w.line("%s * %s", indent, line)
	w.line("%s */", indent)
}

// documented writes the doc comment of a field or a definition: what its schema says of it, and the rules that its type can't tell.
func (w *typescriptWriter) documented(indent string, node *object) error {
	text, err := w.description(node)
	if err != nil || text == "" {
		return err
	}
	w.comment(indent, text)
	return nil
}

func (w *typescriptWriter) description(node *object) (string, error) {
	told, err := rules(node.without("enum", "const", "oneOf", "anyOf", "allOf"))
	if err != nil {
		return "", err
	}
	parts := []string{}
	whole, err := w.resolved(node)
	if err != nil {
		return "", err
	}
	if text := whole.text("description"); text != "" {
		parts = append(parts, text)
	}
	if len(told) > 0 {
		sentence := []rune(strings.Join(told, "; ") + ".")
		sentence[0] = unicode.ToUpper(sentence[0])
		parts = append(parts, string(sentence))
	}
	return strings.Join(parts, " "), nil
}

func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic("a string can always be encoded: " + err.Error())
	}
	return string(encoded)
}

// pascal writes a name of words, however they are joined, as a type's name.
func pascal(name string) string {
	var joined strings.Builder
	for _, word := range strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		joined.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return joined.String()
}

// taken are names that a reader of TypeScript takes for something else.
var taken = []string{
	"Array", "Boolean", "CallplaneEvent", "Date", "Envelope", "Error", "Event", "EventOf", "EventType", "Function", "Map", "Number", "Object",
	"PayloadOf", "Promise", "Readonly", "Record", "Set", "String", "Symbol",
}

// aliasName is the name of a shared definition.
func aliasName(definition string) string {
	name := pascal(definition)
	if slices.Contains(taken, name) {
		return name + "Value"
	}
	return name
}
