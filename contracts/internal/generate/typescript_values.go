package generate

import (
	"fmt"
	"slices"
	"strings"
)

// value writes the TypeScript type of what a schema describes. Rules that TypeScript can't hold are left to the comment.
func (w *typescriptWriter) value(indent string, node *object) (string, error) {
	if reference := node.text("$ref"); reference != "" {
		name, _, err := w.definition(reference)
		if err != nil {
			return "", err
		}
		return w.nameOf(name), nil
	}
	var parts []string
	own, err := w.own(indent, node)
	if err != nil {
		return "", err
	}
	if own != "" {
		parts = append(parts, own)
	}
	for _, keyword := range []string{"oneOf", "anyOf", "allOf"} {
		if !node.has(keyword) {
			continue
		}
		joined, err := w.combined(indent, keyword, node.list(keyword))
		if err != nil {
			return "", err
		}
		parts = append(parts, joined)
	}
	if len(parts) == 0 {
		return "unknown", nil
	}
	return strings.Join(parts, " & "), nil
}

// own is the type that a schema names by itself, without its combinations; "" where it names none.
func (w *typescriptWriter) own(indent string, node *object) (string, error) {
	if node.has("const") {
		return literal(node.values["const"])
	}
	if node.has("enum") {
		return literals(indent, node.list("enum"))
	}
	named := kinds(node)
	if len(named) == 0 && node.has("properties") {
		named = []string{"object"}
	}
	var written []string
	for _, kind := range named {
		one, err := w.kind(indent, kind, node)
		if err != nil {
			return "", err
		}
		if !slices.Contains(written, one) {
			written = append(written, one)
		}
	}
	return strings.Join(written, " | "), nil
}

func (w *typescriptWriter) kind(indent, kind string, node *object) (string, error) {
	switch kind {
	case "string", "boolean", "null":
		return kind, nil
	case "number", "integer":
		return "number", nil
	case "array":
		items, err := w.value(indent, node.child("items"))
		if err != nil {
			return "", err
		}
		if strings.ContainsAny(items, "|&") && !strings.HasPrefix(items, "{") {
			items = "(" + items + ")"
		}
		return "readonly " + items + "[]", nil
	case "object":
		return w.object(indent, node)
	default:
		return "", fmt.Errorf("there is no TypeScript for the type %q", kind)
	}
}

func (w *typescriptWriter) object(indent string, node *object) (string, error) {
	if !node.has("properties") {
		values := "unknown"
		if more := node.child("additionalProperties"); len(more.names) > 0 {
			var err error
			if values, err = w.value(indent, more); err != nil {
				return "", err
			}
		}
		return "{ readonly [name: string]: " + values + " }", nil
	}
	inner := &typescriptWriter{catalogue: w.catalogue, definitions: w.definitions}
	inner.line("{")
	properties := node.child("properties")
	for _, name := range properties.names {
		property := properties.child(name)
		if err := inner.documented(indent+"  ", property); err != nil {
			return "", err
		}
		written, err := w.value(indent+"  ", property)
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		optional := "?"
		if slices.Contains(node.list("required"), any(name)) {
			optional = ""
		}
		inner.line("%s  readonly %s%s: %s;", indent, name, optional, written)
	}
	inner.text.WriteString(indent + "}")
	return inner.text.String(), nil
}

// combined writes alternatives as a union, and what holds together as an intersection.
func (w *typescriptWriter) combined(indent, keyword string, schemas []any) (string, error) {
	var written []string
	for _, one := range schemas {
		node, ok := one.(*object)
		if !ok {
			return "", fmt.Errorf("%s holds something that is no object", keyword)
		}
		value, err := w.value(indent, node)
		if err != nil {
			return "", err
		}
		written = append(written, "("+value+")")
	}
	if keyword == "allOf" && len(written) == 1 && !strings.ContainsAny(written[0], "|&{") {
		return strings.Trim(written[0], "()"), nil
	}
	if keyword == "allOf" {
		return strings.Join(written, " & "), nil
	}
	return "(" + strings.Join(written, " | ") + ")", nil
}

// literals writes a union, one alternative a line where there are many.
func literals(indent string, values []any) (string, error) {
	written := make([]string, len(values))
	for i, value := range values {
		var err error
		if written[i], err = literal(value); err != nil {
			return "", err
		}
	}
	const width = 100
	if union := strings.Join(written, " | "); len(union) <= width {
		return union, nil
	}
	start := "\n" + indent + "  | "
	return start + strings.Join(written, start), nil
}

func literal(value any) (string, error) {
	encoded, err := encode(value)
	if err != nil {
		return "", err
	}
	return string(encoded), nil
}
