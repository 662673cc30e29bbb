// Package config reads a program's settings from environment variables, checks all of them at once and lists them for --help.
//
// Settings are a struct; nested structs group them. The tags of a field:
//
//	env:"HTTP_ADDR"          the variable
//	envDefault:":8080"       its value where the variable is unset or empty; a setting without one and without env:"...,required" is optional
//	help:"address to ..."    the line that --help shows
//	validate:"min=1,max=64"  rules of go-playground/validator, checked on the parsed value where one is set
//	secret:"true"            its value is never shown, and may also come from the file named by <variable>_FILE; a field of type Secret needs no tag
package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/caarlos0/env/v11"
)

// maxSecretFile bounds what is read of a <NAME>_FILE, in bytes.
const maxSecretFile = 64 << 10

// Validator is implemented by settings (with a value or a pointer receiver) with rules that span several of them. Problems of settings
// that could not be read anyway are left out of the report.
type Validator interface {
	Validate() []Problem
}

// Load reads the settings T from environ, a list of NAME=value as os.Environ returns. An empty variable counts as unset. Where anything
// is wrong the error is an *InvalidError that names every bad setting and what to do about it, and holds no secret value.
func Load[T any](environ []string) (T, error) {
	var settings T
	fields, err := fieldsOf(reflect.ValueOf(&settings).Elem(), "")
	if err != nil {
		return settings, err
	}
	vars := environment(environ)
	var invalid InvalidError
	for _, f := range fields {
		if p := f.load(vars); p != nil {
			invalid.Problems = append(invalid.Problems, *p)
		}
	}
	invalid.addFrom(any(&settings))
	if len(invalid.Problems) > 0 {
		return settings, &invalid
	}
	return settings, nil
}

// environment turns a list of NAME=value into a map without the empty ones.
func environment(environ []string) map[string]string {
	vars := env.ToMap(environ)
	for name, value := range vars {
		if value == "" {
			delete(vars, name)
		}
	}
	return vars
}

// load parses one setting into its field and returns what is wrong with it, nil if nothing is.
func (f field) load(vars map[string]string) *Problem {
	vars, problem := f.resolveFile(vars)
	if problem != nil {
		return problem
	}
	if _, set := vars[f.name]; !set && f.required && !f.hasDefault {
		return &Problem{Name: f.name, Reason: "is required; set it to " + f.purpose() + f.orFile()}
	}
	// Each field is parsed in a struct of its own, so that an error belongs to a known variable.
	one := reflect.New(reflect.StructOf([]reflect.StructField{f.bare()}))
	if err := env.ParseWithOptions(one.Interface(), env.Options{Environment: vars}); err != nil {
		return &Problem{Name: f.name, Reason: f.parseReason(err)}
	}
	f.value.Set(one.Elem().Field(0))
	return f.check(vars)
}

// resolveFile puts the content of the file named by <NAME>_FILE in the setting's place.
func (f field) resolveFile(vars map[string]string) (map[string]string, *Problem) {
	fileVar := f.name + "_FILE"
	path, given := vars[fileVar]
	if !f.secret || !given {
		return vars, nil
	}
	if _, both := vars[f.name]; both {
		return nil, &Problem{Name: f.name, Reason: "is set together with " + fileVar + "; set only one of the two"}
	}
	content, err := readSecret(path)
	if err != nil {
		return nil, &Problem{Name: fileVar, Reason: err.Error()}
	}
	return map[string]string{f.name: content}, nil
}

// readSecret returns a file's content without the line end that editors put there.
func readSecret(path string) (string, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", fmt.Errorf("names a file that can't be read (%w); check the path and who may read it", err)
	}
	defer file.Close() //nolint:errcheck // Only read from.
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("names a file that can't be read (%w)", err)
	}
	if len(content) > maxSecretFile {
		return "", fmt.Errorf("names a file of more than %d bytes; a secret is shorter", maxSecretFile)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("names an empty file; put the secret into it")
	}
	return secret, nil
}
