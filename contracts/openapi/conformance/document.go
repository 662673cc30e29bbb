// Package conformance holds requests and answers to the OpenAPI document. It is for tests: whatever they exchange with the API goes through
// it, so that nothing is sent or answered that the document does not describe.
package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/callplane/callplane/contracts/openapi"
)

// Document is the description of the API, compiled. It is safe for concurrent use.
type Document struct {
	operations []*Operation
	elsewhere  response // what answers a path or method that the document does not have
}

// Operation is one method of one path.
type Operation struct {
	ID           string
	Method       string
	Path         string // with {parameters}
	Parameters   []Parameter
	Bodies       map[string]Schema // by media type; empty: it takes no body
	BodyRequired bool

	segments    []string
	credentials []string // headers, of which one must be given; empty: it is open to all
	responses   map[string]response
}

// Parameter is what an operation takes beside its body.
type Parameter struct {
	Name, In string // In: path, query or header
	Required bool
	Schema   Schema
}

// Schema is a JSON Schema of the document, as it stands there with its references.
type Schema struct {
	node     node
	compiled *jsonschema.Schema
}

type response struct {
	headers map[string]Parameter
	content map[string]Schema
}

// Load returns the document of contracts/openapi; it is read once.
func Load() (*Document, error) { return load() }

var load = sync.OnceValues(func() (*Document, error) { return Parse(openapi.Document()) })

const location = "https://callplane.dev/openapi.json"

// Parse reads an OpenAPI 3.1 document, given as JSON.
func Parse(text []byte) (*Document, error) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	root, _ := value.(map[string]any)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(location, root); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	b := &builder{compiler: compiler, root: node{root: root, pointer: "#", value: root}}
	d := &Document{}
	for _, path := range b.root.child("paths").names() {
		item := b.root.child("paths").child(path)
		for _, method := range item.names() {
			if verb := strings.ToUpper(method); slices.Contains(verbs, verb) {
				d.operations = append(d.operations, b.operation(verb, path, item, item.child(method)))
			}
		}
	}
	d.elsewhere = b.response(b.root.child("components").child("responses").child("Problem"))
	return d, b.err
}

var verbs = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace,
}

// Operations returns all of them, by path and method.
func (d *Document) Operations() []*Operation { return slices.Clone(d.operations) }

// builder compiles parts of the document; err is the first failure.
type builder struct {
	compiler *jsonschema.Compiler
	root     node
	err      error
}

func (b *builder) operation(method, path string, item, n node) *Operation {
	op := &Operation{
		ID: n.text("operationId"), Method: method, Path: path, segments: strings.Split(path, "/"),
		Bodies: map[string]Schema{}, responses: map[string]response{}, credentials: b.credentials(n),
	}
	for _, list := range []node{item.child("parameters"), n.child("parameters")} {
		for _, p := range list.elements() {
			op.Parameters = append(op.Parameters, b.parameter(p.text("name"), p))
		}
	}
	body := n.child("requestBody")
	op.BodyRequired = body.value["required"] == true
	for _, media := range body.child("content").names() {
		op.Bodies[media] = b.schema(body.child("content").child(media).child("schema"))
	}
	for _, status := range n.child("responses").names() {
		op.responses[status] = b.response(n.child("responses").child(status))
	}
	return op
}

func (b *builder) parameter(name string, n node) Parameter {
	return Parameter{Name: name, In: n.text("in"), Required: n.value["required"] == true, Schema: b.schema(n.child("schema"))}
}

// credentials returns the headers in which a caller may show who they are.
func (b *builder) credentials(operation node) []string {
	list := operation.child("security").elements()
	if _, own := operation.value["security"]; !own {
		list = b.root.child("security").elements()
	}
	var headers []string
	for _, alternative := range list {
		for scheme := range alternative.value {
			if n := b.root.child("components").child("securitySchemes").child(scheme); n.text("type") == "apiKey" {
				headers = append(headers, n.text("name"))
			} else {
				headers = append(headers, "Authorization")
			}
		}
	}
	return headers
}

func (b *builder) response(n node) response {
	r := response{headers: map[string]Parameter{}, content: map[string]Schema{}}
	for _, name := range n.child("headers").names() {
		r.headers[name] = b.parameter(name, n.child("headers").child(name))
	}
	for _, media := range n.child("content").names() {
		r.content[media] = b.schema(n.child("content").child(media).child("schema"))
	}
	return r
}

func (b *builder) schema(n node) Schema {
	compiled, err := b.compiler.Compile(location + n.pointer)
	if err != nil && b.err == nil {
		b.err = fmt.Errorf("compiling %s of the OpenAPI document: %w", n.pointer, err)
	}
	return Schema{node: n, compiled: compiled}
}

// node is a part of the document with the pointer to it.
type node struct {
	root    map[string]any
	pointer string
	value   map[string]any // nil where it is no object
	list    []any          // nil where it is no array
}

// child returns the member of that name, references followed; an empty node where there is none.
func (n node) child(name string) node { return n.step(name, n.value[name]) }

func (n node) step(name string, value any) node {
	c := node{root: n.root, pointer: n.pointer + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)}
	c.value, _ = value.(map[string]any)
	c.list, _ = value.([]any)
	if ref, ok := c.value["$ref"].(string); ok && len(c.value) == 1 {
		c = node{root: n.root, pointer: "#", value: n.root}
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			c = c.child(strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		}
	}
	return c
}

func (n node) elements() []node {
	found := make([]node, len(n.list))
	for i, value := range n.list {
		found[i] = n.step(fmt.Sprint(i), value)
	}
	return found
}

func (n node) names() []string { return slices.Sorted(maps.Keys(n.value)) }

func (n node) text(name string) string {
	text, _ := n.value[name].(string)
	return text
}

// Resolved returns the schema with every reference followed and every allOf merged into the schema around it, for who makes values by it.
// Numbers are json.Number. The document's schemas don't refer to themselves.
func (s Schema) Resolved() map[string]any {
	resolved, _ := resolve(s.node.root, s.node.value).(map[string]any)
	return resolved
}

func resolve(root map[string]any, value any) any {
	switch value := value.(type) {
	case []any:
		elements := make([]any, len(value))
		for i, element := range value {
			elements[i] = resolve(root, element)
		}
		return elements
	case map[string]any:
		members := map[string]any{}
		parts, _ := value["allOf"].([]any)
		if ref, ok := value["$ref"].(string); ok {
			parts = append(parts, node{root: root}.step("", map[string]any{"$ref": ref}).value)
		}
		for _, part := range parts {
			merged, _ := resolve(root, part).(map[string]any)
			maps.Copy(members, merged)
		}
		for name, member := range value {
			if name != "allOf" && name != "$ref" {
				members[name] = resolve(root, member)
			}
		}
		return members
	}
	return value
}

// Answers says whether a success of the operation may have a body of the media type.
func (op *Operation) Answers(media string) bool {
	for status, described := range op.responses {
		if _, has := described.content[media]; has && strings.HasPrefix(status, "2") {
			return true
		}
	}
	return false
}
