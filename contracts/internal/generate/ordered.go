package generate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// object is a JSON object that keeps the order of its names, as the schemas' authors chose it. Values are *object, []any, string,
// json.Number, bool or nil, and when it is written also whatever encoding/json writes.
type object struct {
	names  []string
	values map[string]any
}

// fields makes an object of names and values in turn. It is for objects that are written out in this package.
func fields(pairs ...any) *object {
	o := &object{values: map[string]any{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		o.set(fmt.Sprint(pairs[i]), pairs[i+1])
	}
	return o
}

func (o *object) set(name string, value any) {
	if _, known := o.values[name]; !known {
		o.names = append(o.names, name)
	}
	o.values[name] = value
}

func (o *object) has(name string) bool {
	_, ok := o.values[name]
	return ok
}

// without returns a copy that lacks the names.
func (o *object) without(names ...string) *object {
	rest := fields()
	for _, name := range o.names {
		if !slices.Contains(names, name) {
			rest.set(name, o.values[name])
		}
	}
	return rest
}

// child returns the object under name; an empty one where there is none.
func (o *object) child(name string) *object {
	if found, ok := o.values[name].(*object); ok {
		return found
	}
	return fields()
}

// text returns the string under name; "" where there is none.
func (o *object) text(name string) string {
	found, _ := o.values[name].(string)
	return found
}

func (o *object) list(name string) []any {
	found, _ := o.values[name].([]any)
	return found
}

// MarshalJSON writes the names in their order.
func (o *object) MarshalJSON() ([]byte, error) {
	var text bytes.Buffer
	text.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			text.WriteByte(',')
		}
		for j, part := range []any{name, o.values[name]} {
			if j > 0 {
				text.WriteByte(':')
			}
			encoded, err := encode(part)
			if err != nil {
				return nil, fmt.Errorf("encoding %s: %w", name, err)
			}
			text.Write(encoded)
		}
	}
	text.WriteByte('}')
	return text.Bytes(), nil
}

// encode writes JSON without the escapes that only HTML needs.
func encode(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// indented writes JSON as it is committed: two spaces, and an end of line.
func indented(value any) ([]byte, error) {
	compact, err := encode(value)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, compact, "", "  "); err != nil {
		return nil, err
	}
	text.WriteByte('\n')
	return text.Bytes(), nil
}

// parse reads a JSON object.
func parse(text []byte) (*object, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := parseValue(decoder)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON object")
	}
	found, ok := value.(*object)
	if !ok {
		return nil, errors.New("it is not a JSON object")
	}
	return found, nil
}

func parseValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return parseObject(decoder)
	case json.Delim('['):
		values := []any{}
		for decoder.More() {
			value, err := parseValue(decoder)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		_, err := decoder.Token()
		return values, err
	default:
		return token, nil
	}
}

func parseObject(decoder *json.Decoder) (*object, error) {
	found := fields()
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		value, err := parseValue(decoder)
		if err != nil {
			return nil, err
		}
		found.set(fmt.Sprint(name), value)
	}
	_, err := decoder.Token()
	return found, err
}
