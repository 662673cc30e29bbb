package events

import (
	"bytes"
	"encoding/json"
)

// Optional is a field that may be absent, null or hold a value; the zero Optional is absent. Use it
// with the omitzero tag.
type Optional[T any] struct {
	present bool
	value   *T
}

// Some returns an Optional that holds v.
func Some[T any](v T) Optional[T] { return Optional[T]{present: true, value: &v} }

// Null returns an Optional that is present and null.
func Null[T any]() Optional[T] { return Optional[T]{present: true} }

// FromPtr returns an Optional that is present: null where v is nil.
func FromPtr[T any](v *T) Optional[T] { return Optional[T]{present: true, value: v} }

// Get returns the value (nil for null) and whether the field is present.
func (o Optional[T]) Get() (value *T, present bool) { return o.value, o.present }

// IsZero says that the field is absent.
func (o Optional[T]) IsZero() bool { return !o.present }

// MarshalJSON writes the value or null.
func (o Optional[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.value) }

// UnmarshalJSON reads a value or null; it is only called for a field that is present.
func (o *Optional[T]) UnmarshalJSON(text []byte) error {
	o.present = true
	o.value = nil
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	o.value = new(T)
	return json.Unmarshal(text, o.value)
}
