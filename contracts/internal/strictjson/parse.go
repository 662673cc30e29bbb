// Package strictjson reads JSON so that every reader takes the same from it.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may be nested, the outermost included.
const MaxDepth = 64

const (
	maxNumberLength   = 64
	maxNumberExponent = 400
)

var (
	errNotUTF8    = errors.New("not valid UTF-8")
	errNotJSON    = errors.New("not valid JSON")
	errNotObject  = errors.New("not a JSON object")
	errNUL        = errors.New("a string holds a NUL character")
	errSurrogate  = errors.New("a string holds half a surrogate pair")
	errTooDeep    = fmt.Errorf("nested deeper than %d levels", MaxDepth)
	errNumber     = errors.New("a number is too long or its exponent too large")
	errDuplicate  = errors.New("an object has the same name twice")
	errNotAllData = errors.New("more follows the JSON value")
)

// ParseObject reads one JSON object, numbers as json.Number. It refuses what encoding/json lets
// pass but two readers could take for different things (equal names, half surrogate pairs), what
// Postgres can't store (NUL), and what would make validation costly (depth, huge exponents).
func ParseObject(body []byte) (map[string]any, error) {
	if !utf8.Valid(body) {
		return nil, errNotUTF8
	}
	if !json.Valid(body) {
		return nil, errNotJSON
	}
	if err := checkEscapes(body); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	value, err := parseValue(decoder, 0)
	if err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errNotAllData
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errNotObject
	}
	return object, nil
}

// parseValue reads the next value; depth counts the containers around it.
func parseValue(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, errNotJSON
	}
	switch token := token.(type) {
	case json.Delim:
		if depth == MaxDepth {
			return nil, errTooDeep
		}
		if token == '{' {
			return parseMembers(decoder, depth+1)
		}
		return parseItems(decoder, depth+1)
	case json.Number:
		return token, CheckNumber(string(token))
	default:
		return token, nil
	}
}

func parseMembers(decoder *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, errNotJSON
		}
		name, ok := token.(string)
		if !ok {
			return nil, errNotJSON
		}
		if _, exists := object[name]; exists {
			return nil, errDuplicate
		}
		if object[name], err = parseValue(decoder, depth); err != nil {
			return nil, err
		}
	}
	return object, closeContainer(decoder)
}

func parseItems(decoder *json.Decoder, depth int) (any, error) {
	items := []any{}
	for decoder.More() {
		item, err := parseValue(decoder, depth)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, closeContainer(decoder)
}

func closeContainer(decoder *json.Decoder) error {
	if _, err := decoder.Token(); err != nil {
		return errNotJSON
	}
	return nil
}

// CheckNumber bounds a number: schema validation computes with exact rationals, whose size grows
// with the exponent's value and not with its length.
func CheckNumber(number string) error {
	if len(number) > maxNumberLength {
		return errNumber
	}
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return nil
	}
	exponent, err := strconv.Atoi(number[at+1:])
	if err != nil || exponent > maxNumberExponent || exponent < -maxNumberExponent {
		return errNumber
	}
	return nil
}

// checkEscapes looks at the \u escapes of valid JSON, which decoding would hide: NUL, and
// surrogates without their other half (RFC 8259, section 8.2).
func checkEscapes(body []byte) error {
	for i := bytes.IndexByte(body, '\\'); i >= 0 && i < len(body); {
		step := 2
		if body[i+1] == 'u' {
			step = 6
			switch unit := hexUnit(body[i+2:]); {
			case unit == 0:
				return errNUL
			case unit >= 0xDC00 && unit <= 0xDFFF:
				return errSurrogate
			case unit >= 0xD800 && unit <= 0xDBFF:
				if !lowSurrogateAt(body, i+6) {
					return errSurrogate
				}
				step = 12
			}
		}
		next := bytes.IndexByte(body[i+step:], '\\')
		if next < 0 {
			return nil
		}
		i += step + next
	}
	return nil
}

func lowSurrogateAt(body []byte, at int) bool {
	if len(body) < at+6 || body[at] != '\\' || body[at+1] != 'u' {
		return false
	}
	unit := hexUnit(body[at+2:])
	return unit >= 0xDC00 && unit <= 0xDFFF
}

// hexUnit reads the four hexadecimal digits that valid JSON has after \u.
func hexUnit(digits []byte) uint64 {
	unit, err := strconv.ParseUint(string(digits[:4]), 16, 16)
	if err != nil {
		return 0
	}
	return unit
}
