package httpapi

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// field takes one member of an object; pointer says where it stands.
type field func(found *faults, pointer string, value jsontext.Value)

// form says which members an object may have.
type form map[string]field

// noting returns the form with fields that note in given that they were there.
func (f form) noting(given map[string]bool) form {
	noting := make(form, len(f))
	for name, take := range f {
		noting[name] = func(found *faults, pointer string, value jsontext.Value) {
			given[name] = true
			take(found, pointer, value)
		}
	}
	return noting
}

// faults collects what is wrong.
type faults []problem.FieldError

func (f *faults) add(pointer, code, message string) {
	*f = append(*f, problem.FieldError{Pointer: pointer, Code: code, Message: message})
}

// object gives the members of an object to their fields.
func (f *faults) object(pointer string, value jsontext.Value, members form) {
	if value.Kind() != '{' {
		f.add(pointer, "invalid_type", "must be an object")
		return
	}
	decoder := jsontext.NewDecoder(bytes.NewReader(value))
	_, _ = decoder.ReadToken() // the syntax is checked already
	for decoder.PeekKind() == '"' {
		token, err := decoder.ReadToken()
		if err != nil {
			return
		}
		name := token.String()
		member, err := decoder.ReadValue()
		if err != nil {
			return
		}
		at := string(jsontext.Pointer(pointer).AppendToken(name))
		if take, known := members[name]; known {
			take(f, at, member)
		} else {
			f.add(at, "unknown_field", "is not a field of this request")
		}
	}
}

// text takes a string.
func text(found *faults, pointer string, value jsontext.Value) (string, bool) {
	if value.Kind() != '"' {
		found.add(pointer, "invalid_type", "must be a string")
		return "", false
	}
	unquoted, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		found.add(pointer, "invalid_value", "is not a valid string")
		return "", false
	}
	return string(unquoted), true
}

// textField takes a string of any string type.
func textField[T ~string](target *T) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		if s, ok := text(found, pointer, value); ok {
			*target = T(s)
		}
	}
}

// givenText takes a string that has a default where it is left out, and is not empty where it is given.
func givenText[T ~string](target *T) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		s, ok := text(found, pointer, value)
		if ok && s == "" {
			found.add(pointer, domain.FaultRequired, "must not be empty")
		}
		*target = T(s)
	}
}

// textPointer takes a string, and tells it from one that is left out.
func textPointer[T ~string](target **T) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		if s, ok := text(found, pointer, value); ok {
			t := T(s)
			*target = &t
		}
	}
}

// nullableText takes a string, or null for the same as leaving it out.
func nullableText(target **string) field {
	take := textPointer(target)
	return func(found *faults, pointer string, value jsontext.Value) {
		if value.Kind() != 'n' {
			take(found, pointer, value)
		}
	}
}

// optionalText tells null from left out.
func optionalText(target *events.Optional[string]) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		if value.Kind() == 'n' {
			*target = events.Null[string]()
			return
		}
		if s, ok := text(found, pointer, value); ok {
			*target = events.Some(s)
		}
	}
}

// integer takes a whole number, however it is written.
func integer(target **int64) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		number, err := strconv.ParseFloat(string(value), 64)
		if value.Kind() != '0' || err != nil || number != math.Trunc(number) || math.Abs(number) > 1<<53 {
			found.add(pointer, "invalid_type", "must be an integer")
			return
		}
		whole := int64(number)
		*target = &whole
	}
}

// uuidField takes a UUID, and makes it lower-case.
func uuidField(target *string) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		s, ok := text(found, pointer, value)
		if !ok {
			return
		}
		if *target, ok = parseUUID(s); !ok {
			found.add(pointer, domain.FaultFormat, "must be a UUID")
		}
	}
}

// objectValue takes an object as it stands; with nullable also null.
func objectValue(target *json.RawMessage, nullable bool) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		if value.Kind() != '{' && (!nullable || value.Kind() != 'n') {
			found.add(pointer, "invalid_type", "must be an object")
			return
		}
		found.numbers(pointer, value)
		*target = json.RawMessage(bytes.Clone(value))
	}
}

// numbers finds those that no event can hold, or that no IEEE 754 double is near to (RFC 8259, section 6): many clients would read them as
// infinite.
func (f *faults) numbers(pointer string, value jsontext.Value) {
	decoder := jsontext.NewDecoder(bytes.NewReader(value))
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return
		}
		if token.Kind() == '0' && !fits(token.String()) {
			f.add(pointer+string(decoder.StackPointer()), domain.FaultValue, "must be a number of at most 64 characters and in the range of IEEE 754 doubles")
		}
	}
}

// fits says whether a JSON number can be in an event, and becomes neither infinite nor, without being 0, 0.
func fits(number string) bool {
	double, err := strconv.ParseFloat(number, 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
	return events.NumberFits(number) && err == nil && (double != 0 || !strings.ContainsAny(mantissa, "123456789"))
}

// nulIn returns the pointer of the first name or string with the character NUL, which no database column of text takes.
func nulIn(value jsontext.Value) (string, bool) {
	decoder := jsontext.NewDecoder(bytes.NewReader(value))
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return "", false
		}
		if token.Kind() == '"' && strings.ContainsRune(token.String(), 0) {
			return strings.ReplaceAll(string(decoder.StackPointer()), "\x00", "\uFFFD"), true
		}
	}
}

// memberList takes the members of a session.
func memberList(target *[]events.Member) field {
	return func(found *faults, pointer string, value jsontext.Value) {
		if value.Kind() != '[' {
			found.add(pointer, "invalid_type", "must be an array")
			return
		}
		decoder := jsontext.NewDecoder(bytes.NewReader(value))
		_, _ = decoder.ReadToken()
		for i := 0; decoder.PeekKind() != ']'; i++ {
			element, err := decoder.ReadValue()
			if err != nil {
				return
			}
			if i == domain.MaxMembers {
				found.add(pointer, domain.FaultTooMany, "must be at most "+strconv.Itoa(domain.MaxMembers)+", the owner counted")
				return
			}
			var member events.Member
			before := len(*found)
			at := pointer + "/" + strconv.Itoa(i)
			found.object(at, element, form{"userId": textField(&member.UserID), "role": textField(&member.Role)})
			if len(*found) == before {
				found.required(at, map[string]string{"userId": member.UserID, "role": string(member.Role)})
			}
			*target = append(*target, member)
		}
	}
}

func (f *faults) required(pointer string, values map[string]string) {
	for _, name := range []string{"userId", "role"} {
		if values[name] == "" {
			f.add(pointer+"/"+name, domain.FaultRequired, "is required")
		}
	}
}
