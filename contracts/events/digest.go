package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
)

// digest returns the SHA-256 of a parsed event in canonical form, by which two deliveries of one id
// are told to be the same or not. Whitespace, order of names and escapes don't matter; numbers count
// as they are written. The form is our own and must never change, since digests are stored: strings
// by length and bytes, so that no JSON encoder's habits are part of it.
func digest(event map[string]any) [32]byte {
	var form bytes.Buffer
	writeCanonical(&form, event)
	return sha256.Sum256(form.Bytes())
}

func writeCanonical(form *bytes.Buffer, value any) {
	switch value := value.(type) {
	case map[string]any:
		names := make([]string, 0, len(value))
		for name := range value {
			names = append(names, name)
		}
		slices.Sort(names)
		form.WriteByte('{')
		for _, name := range names {
			writeCanonicalString(form, name)
			writeCanonical(form, value[name])
		}
		form.WriteByte('}')
	case []any:
		form.WriteByte('[')
		for _, item := range value {
			writeCanonical(form, item)
		}
		form.WriteByte(']')
	case string:
		writeCanonicalString(form, value)
	case json.Number:
		form.WriteByte('#')
		form.WriteString(string(value))
		form.WriteByte(';')
	case bool:
		if value {
			form.WriteByte('t')
		} else {
			form.WriteByte('f')
		}
	default:
		form.WriteByte('n')
	}
}

func writeCanonicalString(form *bytes.Buffer, text string) {
	form.WriteByte('"')
	form.WriteString(strconv.Itoa(len(text)))
	form.WriteByte(':')
	form.WriteString(text)
}
