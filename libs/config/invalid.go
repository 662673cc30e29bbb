package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/go-playground/validator/v10"
)

// Problem is one bad setting: the variable's name and a phrase that goes on from it ("is required; ..."), without any secret value.
type Problem struct {
	Name   string
	Reason string
}

// InvalidError reports every bad setting of a start at once.
type InvalidError struct {
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *InvalidError) Error() string {
	var b strings.Builder
	b.WriteString("invalid settings:")
	for _, p := range e.Problems {
		fmt.Fprintf(&b, "\n  %s %s", p.Name, p.Reason)
	}
	return b.String()
}

// addFrom adds what the settings' own rules find, other than of settings that already have a problem.
func (e *InvalidError) addFrom(settings any) {
	v, ok := settings.(Validator)
	if !ok {
		return
	}
	known := map[string]bool{}
	for _, p := range e.Problems {
		known[strings.TrimSuffix(p.Name, "_FILE")] = true
	}
	for _, p := range v.Validate() {
		if !known[p.Name] {
			e.Problems = append(e.Problems, p)
		}
	}
}

var rules = validator.New()

// check applies the rules of the validate tag to a setting that is set or has a default.
func (f field) check(vars map[string]string) *Problem {
	if _, set := vars[f.name]; f.rules == "" || (!set && !f.hasDefault) {
		return nil
	}
	value := f.value.Interface()
	if f.value.Kind() == reflect.String {
		value = f.value.String()
	}
	err := rules.Var(value, f.rules)
	var failed validator.ValidationErrors
	if !errors.As(err, &failed) || len(failed) == 0 {
		return nil
	}
	return &Problem{Name: f.name, Reason: f.shown(vars[f.name]) + expectation(f.value.Kind(), failed[0])}
}

// shown begins a reason with the value that was given, if it may be shown.
func (f field) shown(value string) string {
	if f.secret || value == "" {
		return ""
	}
	return fmt.Sprintf("is %q; it ", value)
}

// parseReason says what form a value must have, without the value of a secret.
func (f field) parseReason(err error) string {
	if f.secret {
		return "does not have the form of a " + f.kind()
	}
	var parse env.ParseError
	if errors.As(err, &parse) {
		err = parse.Err
	}
	example := map[string]string{"duration": ", such as 250ms, 30s or 10m", "list": ", separated by commas"}[f.kind()]
	article := "a"
	if f.kind() == "integer" {
		article = "an"
	}
	return fmt.Sprintf("must be %s %s%s (%v)", article, f.kind(), example, err)
}

// expectation puts a failed rule into words.
func expectation(kind reflect.Kind, failed validator.FieldError) string {
	length := ""
	if kind == reflect.String {
		length = " characters long"
	}
	switch failed.Tag() {
	case "oneof":
		return "must be one of " + strings.Join(strings.Fields(failed.Param()), ", ")
	case "min", "gte":
		return "must be at least " + failed.Param() + length
	case "max", "lte":
		return "must be at most " + failed.Param() + length
	case "gt":
		return "must be more than " + failed.Param() + length
	case "lt":
		return "must be less than " + failed.Param() + length
	case "url", "uri", "http_url":
		return "must be an absolute URL"
	case "hostname_port":
		return "must be an address such as :8080 or 127.0.0.1:8080"
	default:
		return "must fulfil " + failed.Tag() + " " + failed.Param()
	}
}
