package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Usage writes a table of the settings of T for --help: variable, kind, default and what it is for.
func Usage[T any](w io.Writer) error {
	var settings T
	fields, err := fieldsOf(reflect.ValueOf(&settings).Elem(), "")
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		if _, err := fmt.Fprintf(table, "  %s\t%s\t%s\n", f.name, f.kind(), f.describe()); err != nil {
			return fmt.Errorf("write usage: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write usage: %w", err)
	}
	return nil
}

// describe is the help text with what else a user must know of the setting.
func (f field) describe() string {
	notes := []string{}
	switch {
	case f.required && !f.hasDefault:
		notes = append(notes, "required")
	case f.def != "" && !f.secret:
		notes = append(notes, "default "+f.def)
	}
	if f.secret {
		notes = append(notes, "secret, also as "+f.name+"_FILE")
	}
	if len(notes) == 0 {
		return f.help
	}
	return strings.TrimSpace(f.help + " (" + strings.Join(notes, "; ") + ")")
}
